"""Every port of the service, in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from chalicelib import settings
from chalicelib.operations.ports import Ports
from tests.fakes.clock import FakeClock
from tests.fakes.dynamodb import FakeBatchStore, FakeKeyStore
from tests.fakes.http import FakePlatform, FakeReceiver
from tests.fakes.journal import FakeJournal
from tests.fakes.sqs import FakeQueue
from tests.fakes.threads import FakeConcurrent
from tests.samples import DEMO_ACCOUNT, DEMO_KEY

#: The settings of tests that are not about settings.
SETTINGS = settings.read({"STAGE": "local", "PLATFORM_ADDRESS": "http://127.0.0.1:9"})


def numbered_ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{next(numbers):032x}"


@dataclass
class InMemory:
    """The ports, each accessible to a test."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: FakeBatchStore = field(default_factory=FakeBatchStore)
    keys: FakeKeyStore = field(default_factory=lambda: FakeKeyStore([DEMO_KEY], [DEMO_ACCOUNT]))
    queue: FakeQueue = field(default_factory=FakeQueue)
    platform: FakePlatform = field(default_factory=FakePlatform)
    receiver: FakeReceiver = field(default_factory=FakeReceiver)
    journal: FakeJournal = field(default_factory=FakeJournal)
    concurrent: FakeConcurrent = field(default_factory=FakeConcurrent)
    #: What the random draw returns each time.
    chance: float = 1.0

    @property
    def ports(self) -> Ports:
        return Ports(
            store=self.store,
            keys=self.keys,
            cached_keys=self.keys,
            queue=self.queue,
            platform=self.platform,
            receiver=self.receiver,
            concurrent=self.concurrent,
            concurrent_requests=self.concurrent,
            clock=self.clock,
            journal=self.journal,
            new_id=numbered_ids(),
            random_unit=lambda: self.chance,
        )
