"""A stage in this process: functions with their containers, and queues between them."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count

from batchback_ops import project
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import AnswersPart, Batch
from chalicelib.domain.message import MAX_RECEIVES, JobsMessage, Sentinel
from chalicelib.domain.submission import Submission
from chalicelib.errors import BatchbackError
from chalicelib.service import Service
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore, FakeKeyStore
from tests.fakes.ports import SETTINGS
from tests.samples import DEMO_ACCOUNT, DEMO_KEY, some_jobs
from tests.trials.load.clockwork import Clockwork
from tests.trials.load.ports import ports_of
from tests.trials.load.queues import Body, FairQueue, Message
from tests.trials.load.trouble import Trouble

#: How many of each function run concurrently; the others run as often as there is work.
MOST_AT_ONCE = {"run_jobs": 10, "advance_batch": 20, "call_back": 20, "bury_jobs": 20}

_MINUTE = timedelta(minutes=1)
#: A redelivered message is hidden for this many timeouts of its function.
_TIMEOUTS_HIDDEN = 6
#: A caller without an answer retries after this long, with the same Idempotency-Key.
_CALLER_WAITS_SECONDS = 1.0

SecondsLeft = Callable[[], float]
Work = Callable[[Service, SecondsLeft], object]


@dataclass(slots=True)
class Seen:
    """What was counted."""

    invocations: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    #: Calls that found the platform away.
    away: int = 0
    messages: int = 0
    #: Items written or changed, including failed attempts.
    writes: int = 0
    #: When each batch's callback was accepted.
    taken_at: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _QueueKind:
    function: str
    max_receives: int
    dead_letters: str | None = None


_QUEUES = {
    "jobs": _QueueKind(function="run_jobs", max_receives=MAX_RECEIVES, dead_letters="jobs-dead"),
    "batches": _QueueKind(function="advance_batch", max_receives=5),
    "callbacks": _QueueKind(function="call_back", max_receives=5),
    "jobs-dead": _QueueKind(function="bury_jobs", max_receives=100),
}


class Stage:
    """Takes batches and runs them. A container is kept for the next invocation, with what it
    knows."""

    def __init__(self, trouble: Trouble, accounts: Sequence[str]) -> None:
        self.trouble = trouble
        self.clockwork = Clockwork()
        self.random = random.Random(trouble.name)
        self.seen = Seen()
        self.store = FakeBatchStore()
        self.keys = FakeKeyStore(
            [replace(DEMO_KEY, key=each, account=each) for each in accounts],
            [replace(DEMO_ACCOUNT, account=each) for each in accounts],
        )
        self._failed_puts: set[tuple[str, int]] = set()
        self._ids = count(1)
        self._numbers = count(1)
        self._timeouts = _timeouts()
        self._queues = {name: FairQueue() for name in _QUEUES}
        self._running: Counter[str] = Counter()
        self._idle: defaultdict[str, list[Service]] = defaultdict(list)

    def submit(self, account: str, jobs: int, *, after: timedelta = timedelta()) -> None:
        """Have a caller submit a batch at this time after the beginning."""
        self.clockwork.at(START + after, partial(self._submit, account, jobs))

    def restart(self, *, after: timedelta) -> None:
        """Have the callers of all batches that are running then restart them."""
        self.clockwork.at(START + after, self._restart)

    def run(self) -> None:
        """Run until all is at rest."""
        self.clockwork.at(START + _MINUTE, self._tick)
        self.clockwork.run()

    # --- for the ports -------------------------------------------------------------------------

    @property
    def age(self) -> timedelta:
        return self.clockwork.now() - START

    def new_id(self) -> str:
        return f"{next(self._ids):032x}"

    def send(self, queue: str, body: Body, delay_seconds: float) -> None:
        visible_at = self.clockwork.now() + timedelta(seconds=delay_seconds)
        message = Message(body, next(self._numbers))
        self.clockwork.at(visible_at, partial(self._put, queue, message))

    def fails_to_put(self, batch: Batch, chunk: int, _: AnswersPart) -> bool:
        """Whether these are the first answers of a chunk, and those fail."""
        is_first = (batch.batch_id, chunk) not in self._failed_puts
        self._failed_puts.add((batch.batch_id, chunk))
        return is_first and self.trouble.fails_first_puts

    # --- callers and the schedule --------------------------------------------------------------

    def _submit(self, account: str, jobs: int) -> None:
        caller, key = Caller(account=account, key=account), self.new_id()
        submission = Submission(jobs=some_jobs(jobs), callback_url=f"https://{account}.example.com")

        def work(service: Service, _: SecondsLeft) -> None:
            service.submitter.submit_batch(caller, submission, b"{}", key)

        while not self._invoke("api_handler", work):
            self.clockwork.sleep(_CALLER_WAITS_SECONDS)

    def _restart(self) -> None:
        for batch in list(self.store.heads.values()):
            if batch.is_running:
                self._invoke("api_handler", partial(_restart, batch))

    def _tick(self) -> None:
        """Run a sweep. One that would find nothing is left out, and not counted."""
        due = [head.due_at for head in self.store.heads.values() if head.due_at]
        if due or not self.clockwork.is_idle:
            self.clockwork.at(self.clockwork.now() + _MINUTE, self._tick)
        if due and min(due) <= self.clockwork.now():
            self._invoke("sweep", lambda service, left: service.sweeper.sweep(left))

    # --- queues and functions ------------------------------------------------------------------

    def _put(self, queue: str, message: Message) -> None:
        self._queues[queue].put(message)
        self._begin(queue)

    def _begin(self, queue: str) -> None:
        """Begin an invocation for each available message, as long as there are containers."""
        function = _QUEUES[queue].function
        while self._running[function] < MOST_AT_ONCE[function]:
            message = self._queues[queue].take()
            if message is None:
                return
            self._running[function] += 1
            self.clockwork.at(self.clockwork.now(), partial(self._receive, queue, message))

    def _receive(self, queue: str, message: Message) -> None:
        kind = _QUEUES[queue]
        received_at = self.clockwork.now()
        message.receives += 1
        if message.receives > kind.max_receives:
            if kind.dead_letters:
                self.send(kind.dead_letters, message.body, 0)
        elif not self._invoke(kind.function, partial(_handle, kind.function, message)):
            hidden = timedelta(seconds=_TIMEOUTS_HIDDEN * self._timeouts[kind.function])
            self.clockwork.at(received_at + hidden, partial(self._put, queue, message))
        self._queues[queue].end(message)
        self._running[kind.function] -= 1
        self._begin(queue)

    def _invoke(self, function: str, work: Work) -> bool:
        """Run one invocation, and return whether it ended without raising."""
        idle = self._idle[function]
        service = idle.pop() if idle else Service(SETTINGS, ports_of(self))
        began_at = self.clockwork.now()
        ends_at = began_at + timedelta(seconds=self._timeouts[function])
        self.seen.invocations[function] += 1
        try:
            work(service, lambda: (ends_at - self.clockwork.now()).total_seconds())
        except BatchbackError:
            return False
        finally:
            idle.append(service)
            assert self.clockwork.now() < ends_at, f"{function} ran out of time"
        return True


def _handle(function: str, message: Message, service: Service, left: SecondsLeft) -> None:
    """Do what the function does with a message."""
    body = message.body
    if isinstance(body, Sentinel):
        service.checker.receive(body)
    elif isinstance(body, JobsMessage) and function == "run_jobs":
        service.runner.run_jobs(body, receive_count=message.receives, seconds_left=left)
    elif isinstance(body, JobsMessage):
        service.burier.bury_jobs(body)
    elif function == "advance_batch":
        service.advancer.advance_batch(body, left)
    else:
        service.delivery.call_back(body, left)


def _restart(batch: Batch, service: Service, _: SecondsLeft) -> None:
    service.rerunner.restart(Caller(account=batch.account, key=batch.key), batch.batch_id)


def _timeouts() -> dict[str, int]:
    """The timeouts in `.chalice/config.json`."""
    config = json.loads((project.root() / ".chalice" / "config.json").read_text())
    return {name: each["lambda_timeout"] for name, each in config["lambda_functions"].items()}
