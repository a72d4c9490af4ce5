"""The worker processes: started, restarted when they die, and gone when this process is."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable

from batchback_local.errors import CannotStart
from batchback_local.log import say
from batchback_local.runtime.worker import READY
from batchback_ops import project

#: A worker that dies sooner is not restarted at once.
_HEALTHY_SECONDS = 5
_PAUSE_SECONDS = 1
#: What a worker gets to end by itself when all is stopped.
_GRACE_SECONDS = 0.5


class WorkerProcesses:
    """N worker processes between `with` and its end. `on_change` is told the process ids, at first
    and whenever one has been replaced."""

    def __init__(self, count: int, on_change: Callable[[list[int]], None]) -> None:
        self._processes = [_start() for _ in range(count)]
        self._on_change = on_change
        self._stopping = threading.Event()
        self._changing = threading.Lock()

    def __enter__(self) -> "WorkerProcesses":
        for place, process in enumerate(self._processes):
            if not _becomes_ready(process):
                self._stop()
                raise CannotStart("A worker process does not start: what it says is above.")
            threading.Thread(target=self._keep_up, args=(place,), daemon=True).start()
        self._on_change(self.pids)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def _keep_up(self, place: int) -> None:
        while True:
            started_at = time.monotonic()
            process = self._processes[place]
            status = process.wait()
            pause = _PAUSE_SECONDS if time.monotonic() - started_at < _HEALTHY_SECONDS else 0
            if self._stopping.wait(pause):
                return
            say(f"Worker process {process.pid} died ({status}); another takes its place.")
            if not self._replace(place):
                return

    def _replace(self, place: int) -> bool:
        with self._changing:
            if self._stopping.is_set():
                return False
            _close(self._processes[place])
            self._processes[place] = _start()
        _becomes_ready(self._processes[place])
        self._on_change(self.pids)
        return True

    def _stop(self) -> None:
        """Each is told to go; who does not is killed."""
        with self._changing:
            self._stopping.set()
            for process in self._processes:
                _close(process)
        give_up_at = time.monotonic() + _GRACE_SECONDS
        for process in self._processes:
            try:
                process.wait(max(0, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "batchback_local.runtime.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=project.root(),
    )


def _becomes_ready(process: subprocess.Popen[bytes]) -> bool:
    return process.stdout is not None and process.stdout.readline() == READY


def _close(process: subprocess.Popen[bytes]) -> None:
    """Ends its standard input, and with it the process."""
    if process.stdin:
        process.stdin.close()
