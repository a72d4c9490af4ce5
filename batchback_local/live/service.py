"""Requests to a running service, and to its platform and receiver."""

from typing import Any, Self

import requests
from batchback import Client


class LiveService:
    """A client of a running service, its platform and its receiver. `where` is the content of its
    ready file. No request takes longer than `timeout_seconds`."""

    def __init__(self, where: dict[str, Any], timeout_seconds: float) -> None:
        self.client = Client(where["address"], where["key"], where["secret"])
        self._where = where
        self._timeout_seconds = timeout_seconds
        self._http = requests.Session()
        self._http.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._http.close()

    def results(self, id: str, **page: int) -> requests.Response:
        """The raw answer, whose bytes the client does not show."""
        return self._http.post(
            f"{self._where['address']}/api/1.0/batch?action=results",
            json={"async": id, **page},
            auth=(self._where["key"], self._where["secret"]),
            timeout=self._timeout_seconds,
        )

    def get(self, whom: str, path: str) -> Any:
        """What the platform or the receiver has recorded."""
        return self._http.get(self._where[whom] + path, timeout=self._timeout_seconds).json()

    def is_calling(self, id: str) -> bool:
        """Whether the platform has yet to answer a call of a job of the batch."""
        return any(
            call["status"] is None and call["idempotencyKey"].startswith(id)
            for call in self.get("platform", "/calls")
        )

    def tell(self, whom: str, wish: dict[str, Any]) -> None:
        """Set how the platform or the receiver behaves from now on."""
        address = f"{self._where[whom]}/behave"
        self._http.post(address, json=wish, timeout=self._timeout_seconds).raise_for_status()
