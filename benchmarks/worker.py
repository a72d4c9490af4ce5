"""A process that runs functions like a Lambda container: it polls for one event at a time by HTTP.

    python -m benchmarks.worker run_jobs,call_back http://127.0.0.1:PORT

It prints `ready`, and answers each line on standard input with what it used since the last: the
process CPU with all threads, and the wall time and CPU of each invocation. It exits when standard
input ends. Logs are written line by line, as in Lambda, and discarded.
"""

import http.client
import json
import os
import resource
import socket
import sys
import threading
import time
from collections import defaultdict
from typing import Any, TextIO

from batchback_local.live.memory import peak_bytes
from batchback_local.runtime.invocation import Context
from benchmarks.functions import handler

_TIMEOUT_SECONDS = 120


class Usage:
    """What the process has used since the last report."""

    def __init__(self) -> None:
        self._since = time.process_time()
        self._invocations: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(self, function: str, wall_ms: float, cpu_ms: float) -> None:
        self._invocations[function].append((wall_ms, cpu_ms))

    def report(self) -> dict[str, Any]:
        now = time.process_time()
        cpu_ms, self._since = (now - self._since) * 1000, now
        invocations, self._invocations = self._invocations, defaultdict(list)
        return {"cpu_ms": cpu_ms, "peak_bytes": _peak_bytes(), "invocations": invocations}


def _peak_bytes() -> int:
    """Return the peak resident size. On Linux getrusage would return the parent's if that was
    larger; macOS has nothing better, and counts in bytes."""
    return peak_bytes(os.getpid()) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Runtime:
    """The source of events, on one connection that is kept."""

    def __init__(self, functions: str, address: str) -> None:
        self._functions = functions
        self._connection = http.client.HTTPConnection(address.removeprefix("http://"))
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def next(self) -> Any:
        return json.loads(self._ask("GET", f"/next/{self._functions}"))

    def done(self, id: str, result: object) -> None:
        self._ask("POST", f"/done/{id}", json.dumps(result).encode())

    def _ask(self, method: str, target: str, body: bytes | None = None) -> bytes:
        self._connection.request(method, target, body)
        return self._connection.getresponse().read()


def main(functions: str, address: str) -> None:
    parent = sys.stdout
    sys.stdout = open(os.devnull, "w", buffering=1)  # noqa: SIM115, PTH123 - it is never closed
    usage = Usage()
    runtime = Runtime(functions, address)
    handlers = {name: handler(name) for name in functions.split(",")}
    threading.Thread(target=_answer_the_parent, args=(usage, parent), daemon=True).start()
    parent.write("ready\n")
    parent.flush()
    while True:
        wanted = runtime.next()
        name = wanted["function"]
        started_at, cpu_at = time.perf_counter(), time.process_time()
        result = handlers[name](wanted["event"], Context(name, _TIMEOUT_SECONDS))
        cpu_ms = (time.process_time() - cpu_at) * 1000
        usage.add(name, (time.perf_counter() - started_at) * 1000, cpu_ms)
        runtime.done(wanted["id"], result)


def _answer_the_parent(usage: Usage, parent: TextIO) -> None:
    for _ in sys.stdin:
        parent.write(json.dumps(usage.report()) + "\n")
        parent.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
