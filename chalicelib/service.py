"""The one way to put the service together: settings and ports in, operations out.

It does not know which ports it is given: production connects AWS (`wiring`), tests, simulation and
benchmarks pass others.
"""

from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from chalicelib.domain.address import why_not_url
from chalicelib.domain.batch import chunk_size
from chalicelib.domain.limits import Limits
from chalicelib.operations.admit_batch import BatchAdmission
from chalicelib.operations.advance_batch import BatchAdvancer
from chalicelib.operations.authenticate import Authenticator
from chalicelib.operations.bury_jobs import JobBurier
from chalicelib.operations.deliver_callback import CallbackDelivery
from chalicelib.operations.ports import Ports
from chalicelib.operations.read_batch import BatchReader
from chalicelib.operations.record_answers import AnswerRecorder
from chalicelib.operations.rerun_batch import BatchRerunner
from chalicelib.operations.run_jobs import JobRunner
from chalicelib.operations.submit_batch import BatchSubmitter
from chalicelib.operations.sweep import Sweeper
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from chalicelib.api import Api


class Service:
    """Every operation, ready to use. Making one connects nothing and takes no time, so a test may
    make as many as it likes."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        store, queue, clock, journal = ports.store, ports.queue, ports.clock, ports.journal
        deadline = timedelta(hours=settings.deadline_hours)
        expiry = timedelta(hours=settings.expiry_hours)
        self._settings = settings
        self._ports = ports
        self.recorder = AnswerRecorder(store=store, queue=queue)
        self.admission = BatchAdmission(
            store=store,
            journal=journal,
            limits=Limits(
                open_batches=settings.max_open_batches,
                jobs_per_minute=settings.max_jobs_per_minute,
            ),
        )
        self.submitter = BatchSubmitter(
            admission=self.admission,
            store=store,
            queue=queue,
            clock=clock,
            journal=journal,
            new_id=ports.new_id,
            chunk_size=partial(chunk_size, jobs_per_message=settings.jobs_per_message),
            deadline=deadline,
            expiry=expiry,
        )
        self.reader = BatchReader(store=store, clock=clock, expiry=expiry)
        self.rerunner = BatchRerunner(
            admission=self.admission,
            store=store,
            queue=queue,
            clock=clock,
            journal=journal,
            new_id=ports.new_id,
            deadline=deadline,
        )
        self.runner = JobRunner(
            store=store,
            keys=ports.cached_keys,
            queue=queue,
            platform=ports.platform,
            recorder=self.recorder,
            concurrent=ports.concurrent,
            clock=clock,
            journal=journal,
            random_unit=ports.random_unit,
            job_timeout_seconds=settings.job_timeout_seconds,
            job_retry_seconds=settings.job_retry_seconds,
        )
        self.advancer = BatchAdvancer(
            store=store,
            queue=queue,
            recorder=self.recorder,
            clock=clock,
            journal=journal,
            admission=self.admission,
            delivery=CallbackDelivery(
                store=store,
                keys=ports.cached_keys,
                queue=queue,
                receiver=ports.receiver,
                clock=clock,
                journal=journal,
                random_unit=ports.random_unit,
                new_id=ports.new_id,
            ),
        )
        self.burier = JobBurier(store=store, recorder=self.recorder, clock=clock, journal=journal)
        self.sweeper = Sweeper(store=store, queue=queue, clock=clock, journal=journal)

    @cached_property
    def api(self) -> "Api":
        """The front door, made when it is first used: the workers start without its pydantic."""
        from chalicelib.api import Api

        return Api(
            authenticator=Authenticator(
                keys=self._ports.keys,
                clock=self._ports.clock,
                allow_basic=self._settings.basic_auth,
            ),
            submitter=self.submitter,
            reader=self.reader,
            rerunner=self.rerunner,
            clock=self._ports.clock,
            journal=self._ports.journal,
            max_jobs=self._settings.max_jobs_per_batch,
            callback_required=self._settings.callback_required,
            why_not_url=partial(why_not_url, policy=self._settings.address_policy),
        )

    def warm_up(self) -> None:
        """Make what is otherwise made at its first use, for a process that runs every function."""
        self.api  # noqa: B018 - reading it makes it
        self._ports.platform.prepare()
