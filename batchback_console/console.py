"""What all views of the console share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchback_console.jobs_seen import JobsSeen
from batchback_console.local_tools import LocalTools
from batchback_ops.stage import Stage
from chalicelib import wiring
from chalicelib.operations.ports import BatchStore, Clock, Journal, KeyStore
from chalicelib.service import Service


@dataclass(frozen=True, kw_only=True)
class Console:
    """A stage, and what may be done with it. Nothing is read from AWS until a view is asked for."""

    stage: Stage
    store: BatchStore
    keys: KeyStore
    #: The stage's service, in this process. Actions do with it what callers do with the API.
    service: Service
    clock: Clock
    #: Whether this console may change anything.
    may_act: bool
    #: The accounts that are known before any batch is read.
    accounts: Callable[[], Sequence[str]]
    #: None: the stage is in AWS.
    local: LocalTools | None = None
    jobs_seen: JobsSeen = field(default_factory=JobsSeen)

    @property
    def is_local(self) -> bool:
        """Whether this is the service on this machine, which has more to show."""
        return self.local is not None


def connect(
    stage: Stage,
    *,
    dynamodb: Any,
    sqs: Any,
    clock: Clock,
    journal: Journal | None = None,
    **given: Any,
) -> Console:
    """The console of a stage, over clients of its AWS. CannotGoOn if the stage's settings are
    wrong."""
    settings = stage.settings
    ports = wiring.connect(settings, clock=clock, journal=journal, dynamodb=dynamodb, sqs=sqs)
    service = Service(settings, ports)
    return Console(
        stage=stage, store=ports.store, keys=ports.keys, service=service, clock=clock, **given
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidJournal:
    """Prints the lines that an action logs. Nothing else records what this console did."""

    say: Callable[[str], object]

    def write(self, event: str, **fields: object) -> None:
        told = [f"{name} {value}" for name, value in fields.items() if value is not None]
        self.say(f"{event}: {', '.join(told)}")
