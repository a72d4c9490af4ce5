"""The worker processes. They are restarted if they die, and end with this process."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable

from batchback_local.clock import LocalClock
from batchback_local.errors import CannotStart
from batchback_local.log import say
from batchback_local.runtime.worker import READY
from batchback_ops import project

#: A worker that dies sooner is restarted only after a pause.
_HEALTHY_SECONDS = 5
_PAUSE_SECONDS = 1
#: How long a worker may take to end when everything stops.
_GRACE_SECONDS = 0.5


class WorkerProcesses:
    """N worker processes for the duration of a `with` block. `on_change` gets their process ids at
    the start and whenever a worker has been replaced."""

    def __init__(
        self, count: int, clock: LocalClock, on_change: Callable[[list[int]], None]
    ) -> None:
        self._clock = clock
        self._processes = [_start(clock) for _ in range(count)]
        self._on_change = on_change
        self._stopping = threading.Event()
        self._changing = threading.Lock()

    def __enter__(self) -> "WorkerProcesses":
        for place, process in enumerate(self._processes):
            if not _becomes_ready(process):
                self._stop()
                raise CannotStart("A worker process does not start: see its message above.")
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
            say(f"Worker process {process.pid} died ({status}) and is replaced.")
            if not self._replace(place):
                return

    def _replace(self, place: int) -> bool:
        with self._changing:
            if self._stopping.is_set():
                return False
            _close(self._processes[place])
            self._processes[place] = _start(self._clock)
        _becomes_ready(self._processes[place])
        self._on_change(self.pids)
        return True

    def _stop(self) -> None:
        """Ask every worker to end, and kill those that do not."""
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


def _start(clock: LocalClock) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "batchback_local.runtime.worker", str(clock.descriptor)],
        pass_fds=[clock.descriptor],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=project.root(),
    )


def _becomes_ready(process: subprocess.Popen[bytes]) -> bool:
    return process.stdout is not None and process.stdout.readline() == READY


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close its standard input, which ends the process."""
    if process.stdin:
        process.stdin.close()
