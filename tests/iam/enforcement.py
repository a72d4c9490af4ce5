"""Enforces roles on moto, whose own support is not usable: each call is judged at the client that
makes it, by the policy of the function on whose behalf it is made."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.model import OperationModel

from tests.iam.policy import Permission, Policy, Request
from tests.iam.requests import UnknownCall, requests_of


class Enforcement:
    """Denies as AWS does. Remembers what was denied, even if the code catches the error, and what
    was used. A watched client calls on behalf of a function or not at all."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self.policies = policies
        self.denied: list[str] = []
        self._used: dict[str, set[Permission]] = defaultdict(set)
        #: Per thread: a thread that a function starts does not inherit its role.
        self._function: ContextVar[str | None] = ContextVar("function", default=None)

    def watch(self, client: BaseClient) -> None:
        """Judge every call of the client from now on."""
        client.meta.events.register(
            "provide-client-params.*.*", partial(self._judge_call, client.meta.region_name)
        )

    @property
    def function(self) -> str | None:
        """The function on whose behalf calls are made now."""
        return self._function.get()

    @contextmanager
    def acting(self, function: str) -> Iterator[None]:
        """A block whose calls are those of a function."""
        token = self._function.set(function)
        try:
            yield
        finally:
            self._function.reset(token)

    def unused(self, function: str) -> set[Permission]:
        """The function's permissions that were never used."""
        return self.policies[function].permissions - self._used[function]

    def _judge_call(
        self, region: str, params: Mapping[str, Any], model: OperationModel, **_: object
    ) -> None:
        service = model.service_model.service_name
        try:
            requests = requests_of(service, model.name, params, region)
        except UnknownCall as call:
            raise self._denial(model.name, f"the unknown {call}") from call
        for request in requests:
            self._judge(model.name, request)

    def _judge(self, operation: str, request: Request) -> None:
        function = self._function.get()
        permission = self.policies[function].judge(request) if function else None
        if function is None or permission is None:
            raise self._denial(operation, f"{request.action} on {request.resource}")
        self._used[function].add(permission)

    def _denial(self, operation: str, what: str) -> ClientError:
        self.denied.append(f"{self._function.get()}: {what}")
        message = f"User is not authorized to perform: {what}"
        return ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": message}}, operation
        )
