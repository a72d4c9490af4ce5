"""AWS that cannot be reached."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError


@contextmanager
def failing(client: BaseClient, operation: str) -> Iterator[None]:
    """A block in which AWS cannot be reached for one operation, although policies allow it."""
    service = client.meta.service_model.service_name

    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url=client.meta.endpoint_url)

    client.meta.events.register(f"before-call.{service}.{operation}", fail)
    try:
        yield
    finally:
        client.meta.events.unregister(f"before-call.{service}.{operation}", fail)
