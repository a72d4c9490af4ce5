"""What all views of the console share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from batchback_console.local_tools import LocalTools
from batchback_ops.stage import Stage
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.adapters.key_store import DynamoKeyStore
from chalicelib.adapters.sqs import SqsQueue
from chalicelib.operations.ports import BatchStore, Clock, KeyStore, Queue


@dataclass(frozen=True, kw_only=True)
class Console:
    """A stage, and what may be done with it. Nothing is read from AWS until a view is asked for."""

    stage: Stage
    store: BatchStore
    keys: KeyStore
    queue: Queue
    clock: Clock
    #: A new id, for batches and for the tokens of reruns.
    new_id: Callable[[], str]
    #: Whether this console may change anything.
    may_act: bool
    #: The accounts that are known before any batch is read.
    accounts: Callable[[], Sequence[str]]
    #: None: the stage is in AWS.
    local: LocalTools | None = None

    @property
    def is_local(self) -> bool:
        """Whether this is the service on this machine, which has more to show."""
        return self.local is not None


def connect(stage: Stage, *, dynamodb: Any, sqs: Any, clock: Clock, **given: Any) -> Console:
    """The console of a stage, over clients of its AWS."""
    names = stage.names
    return Console(
        stage=stage,
        store=DynamoBatchStore(dynamodb, names.batches_table),
        keys=DynamoKeyStore(dynamodb, names.keys_table, clock, 0),
        queue=SqsQueue(
            sqs,
            jobs_queue=names.jobs_queue,
            batches_queue=names.batches_queue,
            callbacks_queue=names.callbacks_queue,
        ),
        clock=clock,
        **given,
    )
