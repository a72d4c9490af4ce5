"""The console of the service on this machine. Every action is allowed."""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchback_console.console import connect
from batchback_console.guard import new_token
from batchback_console.server import ConsoleServer
from batchback_local.clock import LocalClock
from batchback_local.demonstration.receiver import DemonstrationReceiver
from batchback_local.errors import PortInUse
from batchback_local.log import say
from batchback_ops import project
from batchback_ops.keys.table import KeyTable
from batchback_ops.stage import Stage
from chalicelib.adapters import aws


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What only the service on this machine can do. Implements `LocalTools`."""

    service_address: str
    #: As `curl -u` takes them.
    credentials: str = field(repr=False)
    is_demonstration: bool
    receiver: DemonstrationReceiver
    clock: LocalClock

    def received(self) -> Sequence[Mapping[str, Any]]:
        return self.receiver.received()


def serve(tools: Tools, port: int) -> ConsoleServer:
    """The console of the running service, whose environment is prepared. PortInUse if the port
    cannot be used."""
    stage = Stage(name=project.LOCAL_STAGE, variables=os.environ, environ=os.environ)
    keys = KeyTable(aws.dynamodb(), stage.names.keys_table)
    console = connect(
        stage,
        dynamodb=aws.dynamodb(),
        sqs=aws.sqs(),
        clock=tools.clock,
        may_act=True,
        accounts=lambda: sorted({key.account for key in keys.list_keys()}),
        local=tools,
    )
    try:
        return ConsoleServer(console, port=port, token=new_token(secrets.token_bytes), say=say)
    except OSError as error:
        raise PortInUse(port) from error
