"""Patches that let moto replace AWS while many threads and processes call it.

moto is made for tests that send one request at a time. DynamoDB promises that a conditional write
is atomic, and SQS that a message is visible to only one receiver. With several threads, moto keeps
neither promise.
"""

import base64
import copy
import inspect
import json
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from types import ModuleType
from typing import Any

from moto.core import responses, utils
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.sqs import models as sqs

from batchback_local.clock import LocalClock


@cache
def import_cloudformation() -> None:
    """Import moto's CloudFormation without what takes longest and is not used here.

    CloudFormation imports every service whose resources it can create. Of these, API Gateway
    imports an OpenAPI validator with 13 packages, and EC2 reads all its zones and types of
    machines. Together that takes one and a half seconds, two thirds of the import.

    Two more patches: templates are parsed as JSON only, because trying YAML first takes 0.1 s. And
    moto does not warn about the queues' policy, which it cannot create: it only requires TLS.
    """
    warnings.filterwarnings("ignore", "Tried to parse AWS::SQS::QueuePolicy", UserWarning)
    missing = {name: _StandIn(name) for name in _UNUSED if name not in sys.modules}
    sys.modules.update(missing)
    try:
        import moto.cloudformation.models
    finally:
        for name in missing:
            del sys.modules[name]
    _patch(moto.cloudformation.models.Stack, "parse_template", staticmethod(json.loads))
    moto.cloudformation.parsing.NULL_MODELS.append("AWS::SQS::QueuePolicy")


#: Modules that moto imports, but never calls for the resources of a stage.
_UNUSED = (
    "openapi_spec_validator",
    "openapi_spec_validator.validation.exceptions",
    "moto.ec2.models.availability_zones_and_regions",
    "moto.ec2.models.instance_types",
)


class _StandIn(ModuleType):
    """A module in which every name is a class without content."""

    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


@cache
def make_moto_atomic() -> None:
    """Put one lock around moto's DynamoDB and another around its SQS, for the life of this process.

    This also makes what the service does most often faster. SQS gets a clock that is ten times as
    fast to read. A Query reads only its own partition, of the table or of an index: moto sorts the
    whole table for each. Items are written as they are: for each attribute, moto tries all ten
    types under several names, which takes half of a request's time. And for each request moto lists
    its own methods, and forms the names of SQS's attributes, letter by letter.
    """
    _lock(DynamoHandler, ["call_action"])
    _lock(sqs.SQSBackend, _SQS_OPERATIONS)
    _patch(sqs.SQSBackend, "receive_message", _waiting_outside(sqs.SQSBackend.receive_message))
    let_queues_follow(None)
    _patch(Table, "query", _of_one_partition(Table.query))
    _write_attributes_as_they_are()
    _patch(responses, "method_names_from_class", cache(utils.method_names_from_class))
    for module in (responses, sqs):
        _patch(module, "camelcase_to_underscores", cache(utils.camelcase_to_underscores))


def let_queues_follow(clock: LocalClock | None) -> None:
    """From now on, delayed messages come when this clock says, or else the machine's.

    Received messages stay hidden by the machine's clock, because the timeouts of the functions
    follow that clock too. So after a move, no message that is being worked on goes to a second
    worker."""

    def lead_ms() -> int:
        return clock.ahead_ms if clock else 0

    def machine_ms() -> float:
        now_ms: float = vars(sqs)["unix_time_millis"]()  # tests replace it
        return now_ms - lead_ms()

    def hide(message: Any, visibility_timeout: int) -> None:
        message.visible_at = machine_ms() + int(visibility_timeout) * 1000

    _patch(sqs, "unix_time_millis", lambda _=None: time.time() * 1000 + lead_ms())
    _patch(sqs.Message, "change_visibility", hide)
    _patch(sqs.Message, "visible", property(lambda message: machine_ms() > message.visible_at))


_SQS_OPERATIONS = (
    "receive_message",
    "send_message",
    "send_message_batch",
    "delete_message",
    "delete_message_batch",
    "change_message_visibility",
    "change_message_visibility_batch",
    "get_queue_attributes",
    "purge_queue",
)


def _lock(owner: object, names: Sequence[str]) -> None:
    """Let only one thread at a time run any of the operations."""
    lock = threading.RLock()
    for name in names:
        _patch(owner, name, _locked(getattr(owner, name), lock))


def _locked(operation: Callable[..., Any], lock: AbstractContextManager[Any]) -> Any:
    def atomic(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return operation(*args, **kwargs)

    return atomic


def _patch(owner: object, name: str, replacement: object) -> None:
    setattr(owner, name, replacement)


def _waiting_outside(receive: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """A ReceiveMessage that waits for messages without holding the lock that senders need."""

    def receive_message(
        self: Any, queue_name: str, count: int, wait_seconds_timeout: int, *args: Any, **kwargs: Any
    ) -> list[Any]:
        give_up_at = time.monotonic() + wait_seconds_timeout
        while True:
            messages = receive(self, queue_name, count, 0, *args, **kwargs)
            seconds_left = give_up_at - time.monotonic()
            if messages or seconds_left <= 0:
                return messages
            # Nothing notifies us when delayed and hidden messages come back: check now and then.
            self.get_queue(queue_name).wait_for_messages(min(0.25, seconds_left))

    return receive_message


def _of_one_partition(query: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(query)

    def query_partition(self: Any, hash_key: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(self, hash_key, *args, **kwargs).arguments
        table = copy.copy(self)
        if given.get("index_name"):
            table.items = _of_index(self, given["hash_key_conditions"])
        else:
            table.items = {hash_key: self.items.get(hash_key, {})}
        return query(table, hash_key, *args, **kwargs)

    return query_partition


def _of_index(table: Any, conditions: Sequence[tuple[str, Any]]) -> dict[Any, dict[Any, Any]]:
    """The items of a table, with sort keys, that meet all conditions."""

    def meets(item: Any) -> bool:
        return all(item.attrs.get(name, _NOTHING) == value for name, value in conditions)

    return {
        key: {part: item for part, item in items.items() if meets(item)}
        for key, items in table.items.items()
    }


_NOTHING = DynamoType({"NULL": True})


def _write_attributes_as_they_are() -> None:
    usual = BaseJSONSerializer._serialize_type_structure

    def write(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if key and shape.name == "AttributeValue":
            serialized[key] = _written(value)
        else:
            usual(self, serialized, value, shape, key)

    _patch(BaseJSONSerializer, "_serialize_type_structure", write)


def _written(attribute: dict[str, Any]) -> dict[str, Any]:
    """An attribute as JSON, in which bytes are in base64."""
    ((kind, value),) = attribute.items()
    write = _WRITTEN.get(kind)
    return {kind: write(value)} if write else attribute


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_WRITTEN: dict[str, Callable[[Any], Any]] = {
    "B": _base64,
    "BS": lambda values: [*map(_base64, values)],
    "L": lambda values: [*map(_written, values)],
    "M": lambda values: {name: _written(value) for name, value in values.items()},
}


class Dispatcher(DomainDispatcherApplication):
    """Remembers the service of each host name. moto lists its directories at every request to find
    it, one request at a time, which takes most of a request's time."""

    def __init__(self, create_app: Callable[..., Any]) -> None:
        super().__init__(create_app)
        self._known: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        if host not in self._known:
            self._known[host] = super().get_backend_for_host(host)
        return self._known[host]
