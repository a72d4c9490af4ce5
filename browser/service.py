"""The local service that the tests look at, and what they do with it outside of the console."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import requests

from batchback_local.live.process import ServiceProcess
from batchback_local.live.service import LiveService
from batchback_local.live.waiting import until

#: How long anything may take on a busy machine.
PATIENCE_SECONDS = 60
PING = {"namespace": "test", "action": "ping"}
INVITE = {"namespace": "event", "action": "inviteContacts", "params": {"event": 1, "contacts": [1]}}
#: The platform has no such action, so it answers 404.
UNKNOWN = {"namespace": "event", "action": "forgetContacts"}


class Service:
    """`batchback local` in a process of its own, for the duration of a `with` block."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self._process = ServiceProcess(folder, *options, variables=variables)

    def __enter__(self) -> Self:
        self._process.__enter__()
        self.where = self._process.where()
        self.live = LiveService(self.where, PATIENCE_SECONDS).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.__exit__()
        self._process.__exit__()

    @property
    def console(self) -> str:
        """The address that it prints, with the token."""
        address: str = self.where["console"]
        return address

    @property
    def origin(self) -> str:
        return self.console.partition("/#")[0]

    @property
    def receiver(self) -> str:
        return f"{self.where['receiver']}/callback"

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    @property
    def token(self) -> str:
        return self.console.partition("#token=")[2]

    def ask(self, path: str) -> Any:
        """Return what the console's server tells its page."""
        return self._call("GET", path, None)

    def tell(self, path: str, body: Any) -> Any:
        """Have the console's server do something, as the page does, and return its answer."""
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        address = f"{self.origin}/api{path}"
        answer = requests.request(
            method, address, headers=headers, json=body, timeout=PATIENCE_SECONDS
        )
        answer.raise_for_status()
        return answer.json()

    def run(self, *jobs: Mapping[str, Any], **how: Any) -> str:
        """Submit a batch whose callback goes to the demonstration receiver, and return its id."""
        submitted = self.live.client.run(jobs, self.receiver, **how)  # type: ignore[arg-type] # plain dicts
        return submitted["asyncId"]

    def complete(self, *jobs: Mapping[str, Any], **how: Any) -> str:
        """Submit a batch, wait until it and its callback are over, and return its id."""
        batch = self.run(*jobs, **how)
        self.wait_until_over(batch)
        return batch

    def wait_until_over(self, batch: str) -> None:
        """Wait until the batch and its callback are over."""
        until(lambda: self.is_over(batch), f"over: {batch}", PATIENCE_SECONDS)

    @contextmanager
    def failing(self, whom: str, **how: Any) -> Iterator[None]:
        """Make the platform or the receiver behave like this inside the block."""
        self.live.tell(whom, how)
        yield
        self.live.tell(whom, {})

    def wait_for_attempt(self, batch: str, number: int = 1) -> None:
        """Wait until the batch's callback has been tried this many times."""
        until(lambda: self.attempts(batch) >= number, f"tried: {number}", PATIENCE_SECONDS)

    def attempts(self, batch: str) -> int:
        """How many attempts are over. One that is in progress has only its time."""
        history = self.progress(batch)["callback"]["history"]
        return sum(bool(each["status"] or each["error"]) for each in history)

    def progress(self, batch: str) -> Any:
        return self.live.client.progress(batch)

    def is_over(self, batch: str) -> bool:
        """Whether the batch and its callback are over."""
        found = self.progress(batch)
        return bool(found["status"] != "running" and found["callback"]["status"] != "waiting")
