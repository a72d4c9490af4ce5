"""The service on this machine, as far as the views of a batch use it."""

from types import SimpleNamespace
from typing import Any


def local_tools(received: list[dict[str, Any]] | None = None, **given: Any) -> Any:
    usual = {
        "service_address": "http://127.0.0.1:8000",
        "key": "demo",
        "secret": "canary-of-local",
        "is_demonstration": False,
        "received": lambda: received or [],
    }
    return SimpleNamespace(**{**usual, **given})
