"""The console of the service on this machine. Every action is allowed."""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import requests

from batchback_console.console import connect
from batchback_console.guard import new_token
from batchback_console.local_tools import NextDue, NotPossible
from batchback_console.server import ConsoleServer
from batchback_local.aws.messages import queued_messages
from batchback_local.clock import LocalClock
from batchback_local.demonstration.example import one_job_a_line, varied_batch
from batchback_local.demonstration.faults import Switches
from batchback_local.demonstration.receiver import DemonstrationReceiver
from batchback_local.errors import PortInUse
from batchback_local.log import say
from batchback_local.next_due import next_due
from batchback_ops import project
from batchback_ops.keys.table import KeyTable
from batchback_ops.stage import Stage
from chalicelib.adapters import aws
from chalicelib.operations.ports import BatchStore

#: How long the API may take to answer; API Gateway ends a request after 29 seconds.
_API_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What only the service on this machine can do. Implements `LocalTools`."""

    service_address: str
    key: str
    secret: str = field(repr=False)
    is_demonstration: bool
    platform_address: str
    platform: Switches | None
    receiver_address: str
    demonstration: DemonstrationReceiver
    clock: LocalClock
    why_fixed: str | None

    @property
    def receiver(self) -> Switches:
        return self.demonstration.switches

    def received(self) -> Sequence[Mapping[str, Any]]:
        return self.demonstration.received()

    @property
    def example(self) -> str:
        return one_job_a_line(varied_batch(self.receiver_address))

    def send(self, text: str) -> str:
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    f"{self.service_address}/api/1.0/batch?action=run",
                    data=text.encode("utf-8", "surrogatepass"),
                    headers={"Content-Type": "application/json"},
                    auth=(self.key, self.secret),
                    timeout=_API_SECONDS,
                )
            except requests.RequestException as error:
                raise NotPossible(
                    f"The HTTP API at {self.service_address} does not answer: start it with the "
                    "command that the terminal of `batchback local` shows."
                ) from error
        return _batch_id(answer)

    @property
    def ahead(self) -> timedelta:
        return self.clock.ahead

    def next_due(self, store: BatchStore) -> NextDue | None:
        return next_due(store, queued_messages(), self.clock.now())

    def move_clock(self, span: timedelta) -> None:
        self.clock.move(span)
        seconds = timedelta(seconds=round(self.ahead.total_seconds()))
        say(f"The service's clock is now {seconds} ahead of this machine's.")


def _batch_id(answer: requests.Response) -> str:
    found = answer.json()
    if answer.status_code != requests.codes.ok:
        said = [found["message"], "; ".join(found.get("additionalMessages", []))]
        raise NotPossible(": ".join(filter(None, said)))
    batch_id: str = found["asyncId"]
    return batch_id


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
        raise PortInUse(port, error) from error
