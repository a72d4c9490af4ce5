"""The platform that jobs call, and the receiver of the results.

POST /api/1.0/...   answer after the latency, with the job's number
POST /callback      take the results
POST /settings      set {"latency_ms", "answer_bytes"} from now on
GET  /callbacks     wait for the next callback: {"jobs", "in_order", "bytes", "calls"}
"""

import asyncio
import json
import re
from collections import deque

from benchmarks import payloads
from benchmarks.stubs.server import Reply, Request, serve

_NUMBER = re.compile(rb'"number": ?(\d+)')
_JOB = re.compile(rb'"job": ?(\d+)')
#: The number of answers that are made beforehand; each job's number is put into one of them.
_ANSWERS = 500


class Platform:
    """Answer calls, and report what the callbacks held."""

    def __init__(self) -> None:
        self._latency_seconds = 0.0
        self._answers: list[tuple[bytes, bytes]] = []
        self._calls = 0
        self._callbacks: deque[bytes] = deque()
        self._waiting: deque[Reply] = deque()

    def answer(self, request: Request, reply: Reply) -> None:
        if request.target.startswith("/api/"):
            self._call(request, reply)
        elif request.target == "/callback":
            self._take(request, reply)
        elif request.target == "/settings":
            self._set(request, reply)
        else:
            self._waiting.append(reply)
            self._tell()

    def _call(self, request: Request, reply: Reply) -> None:
        self._calls += 1
        match = _NUMBER.search(request.body)
        number = match[1] if match else b"-1"
        before, after = self._answers[int(number) % _ANSWERS]
        body = before + number + after
        if self._latency_seconds:
            asyncio.get_running_loop().call_later(self._latency_seconds, reply, body)
        else:
            reply(body)

    def _take(self, request: Request, reply: Reply) -> None:
        reply(b"{}")
        self._callbacks.append(request.body)
        self._tell()

    def _set(self, request: Request, reply: Reply) -> None:
        wanted = json.loads(request.body)
        self._latency_seconds = wanted["latency_ms"] / 1000
        self._answers = [_around_the_number(i, wanted["answer_bytes"]) for i in range(_ANSWERS)]
        reply(b"{}")

    def _tell(self) -> None:
        """Pass callbacks to the requests that wait for them."""
        while self._callbacks and self._waiting:
            body = self._callbacks.popleft()
            numbers = [int(number) for number in _JOB.findall(body)]
            found = {
                "jobs": len(numbers),
                "in_order": numbers == [*range(len(numbers))],
                "bytes": len(body),
                "calls": self._calls,
            }
            self._calls = 0
            self._waiting.popleft()(json.dumps(found).encode())


def _around_the_number(number: int, size: int) -> tuple[bytes, bytes]:
    text = payloads.answer(number, size)
    before, after = text.split(f'"job":{number}', 1)
    return f'{before}"job":'.encode(), after.encode()


if __name__ == "__main__":
    serve(Platform().answer)
