"""The one place that puts the service together: settings and ports in, operations out.

It does not know which ports it gets: production connects AWS (`wiring`); tests, simulation and
benchmarks pass others.
"""

from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from chalicelib.domain.address import why_no_secrets, why_not_url
from chalicelib.domain.batch import chunk_size
from chalicelib.domain.limits import Limits
from chalicelib.operations.admit_batch import BatchAdmission
from chalicelib.operations.call_jobs import JobCaller
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.hand_over import Handover
from chalicelib.operations.isolate_jobs import JobIsolation
from chalicelib.operations.ports import Ports
from chalicelib.operations.record_answers import AnswerRecorder
from chalicelib.operations.run_jobs import JobRunner
from chalicelib.operations.watch_platform import PlatformWatch
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from chalicelib.api import Api
    from chalicelib.domain.submission import Allowance
    from chalicelib.operations.advance_batch import BatchAdvancer
    from chalicelib.operations.authenticate import Authenticator
    from chalicelib.operations.bury_jobs import JobBurier
    from chalicelib.operations.check_batch import BatchChecker
    from chalicelib.operations.deliver_callback import CallbackDelivery
    from chalicelib.operations.list_batches import BatchLister
    from chalicelib.operations.read_batch import BatchReader
    from chalicelib.operations.rerun_batch import BatchRerunner
    from chalicelib.operations.submit_batch import BatchSubmitter
    from chalicelib.operations.sweep import Sweeper


class Service:
    """Every operation, created on first use from the same settings and ports. Creating a service
    connects to nothing, so a test may create as many as it needs.

    An operation that `run_jobs` does not need is imported on first use too, so that its workers
    start sooner."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._settings = settings
        self._ports = ports

    @cached_property
    def api(self) -> "Api":
        """The API. Only this imports pydantic, so that the workers start without it."""
        from chalicelib.api import Api

        return Api(
            authenticator=self.authenticator,
            submitter=self.submitter,
            reader=self.reader,
            lister=self.lister,
            rerunner=self.rerunner,
            clock=self._ports.clock,
            journal=self._ports.journal,
            allowance=self._allowance,
        )

    @property
    def _allowance(self) -> "Allowance":
        from chalicelib.domain.submission import Allowance

        policy = self._settings.address_policy
        return Allowance(
            max_jobs=self._settings.max_jobs_per_batch,
            max_deadline=timedelta(hours=self._settings.deadline_hours),
            callback_required=self._settings.callback_required,
            why_not_url=partial(why_not_url, policy=policy),
            why_no_secrets=partial(why_no_secrets, policy=policy),
        )

    @cached_property
    def authenticator(self) -> "Authenticator":
        from chalicelib.operations.authenticate import Authenticator

        return Authenticator(
            keys=self._ports.keys,
            clock=self._ports.clock,
            allow_basic=self._settings.basic_auth,
        )

    @cached_property
    def submitter(self) -> "BatchSubmitter":
        from chalicelib.operations.submit_batch import BatchSubmitter

        return BatchSubmitter(
            admission=self.admission,
            store=self._ports.store,
            queue=self._ports.queue,
            clock=self._ports.clock,
            journal=self._ports.journal,
            new_id=self._ports.new_id,
            chunk_size=partial(chunk_size, jobs_per_message=self._settings.jobs_per_message),
            deadline=timedelta(hours=self._settings.deadline_hours),
            expiry=timedelta(hours=self._settings.expiry_hours),
        )

    @cached_property
    def reader(self) -> "BatchReader":
        from chalicelib.operations.read_batch import BatchReader

        return BatchReader(store=self._ports.store, clock=self._ports.clock)

    @cached_property
    def lister(self) -> "BatchLister":
        from chalicelib.operations.list_batches import BatchLister

        return BatchLister(
            store=self._ports.store,
            clock=self._ports.clock,
            expiry=timedelta(hours=self._settings.expiry_hours),
        )

    @cached_property
    def rerunner(self) -> "BatchRerunner":
        from chalicelib.operations.rerun_batch import BatchRerunner

        return BatchRerunner(
            admission=self.admission,
            completion=self.completion,
            store=self._ports.store,
            queue=self._ports.queue,
            clock=self._ports.clock,
            journal=self._ports.journal,
            new_id=self._ports.new_id,
            deadline=timedelta(hours=self._settings.deadline_hours),
        )

    @cached_property
    def admission(self) -> BatchAdmission:
        return BatchAdmission(
            store=self._ports.store,
            journal=self._ports.journal,
            limits=Limits(
                open_batches=self._settings.max_open_batches,
                jobs_per_minute=self._settings.max_jobs_per_minute,
            ),
        )

    @cached_property
    def runner(self) -> JobRunner:
        return JobRunner(
            store=self._ports.store,
            keys=self._ports.cached_keys,
            queue=self._ports.queue,
            caller=self.caller,
            recorder=self.recorder,
            completion=self.completion,
            isolation=self.isolation,
            watch=self.watch,
            handover=self.handover,
            clock=self._ports.clock,
            journal=self._ports.journal,
            random_unit=self._ports.random_unit,
            job_retry_seconds=self._settings.job_retry_seconds,
        )

    @cached_property
    def caller(self) -> JobCaller:
        return JobCaller(
            platform=self._ports.platform,
            concurrent=self._ports.concurrent,
            watch=self.watch,
            clock=self._ports.clock,
            journal=self._ports.journal,
            job_timeout_seconds=self._settings.job_timeout_seconds,
        )

    @cached_property
    def recorder(self) -> AnswerRecorder:
        return AnswerRecorder(store=self._ports.store, completion=self.completion)

    @cached_property
    def completion(self) -> BatchCompletion:
        return BatchCompletion(
            store=self._ports.store,
            queue=self._ports.queue,
            admission=self.admission,
            clock=self._ports.clock,
            journal=self._ports.journal,
        )

    @cached_property
    def watch(self) -> PlatformWatch:
        return PlatformWatch(
            store=self._ports.store,
            clock=self._ports.clock,
            journal=self._ports.journal,
            random_unit=self._ports.random_unit,
            spare_for=timedelta(minutes=self._settings.outage_minutes),
        )

    @cached_property
    def handover(self) -> Handover:
        return Handover(
            store=self._ports.store,
            queue=self._ports.queue,
            clock=self._ports.clock,
            journal=self._ports.journal,
            random_unit=self._ports.random_unit,
        )

    @cached_property
    def checker(self) -> "BatchChecker":
        from chalicelib.operations.check_batch import BatchChecker

        return BatchChecker(
            store=self._ports.store,
            queue=self._ports.queue,
            handover=self.handover,
            clock=self._ports.clock,
            journal=self._ports.journal,
        )

    @cached_property
    def isolation(self) -> JobIsolation:
        return JobIsolation(
            store=self._ports.store, queue=self._ports.queue, journal=self._ports.journal
        )

    @cached_property
    def burier(self) -> "JobBurier":
        from chalicelib.operations.bury_jobs import JobBurier

        return JobBurier(
            store=self._ports.store,
            recorder=self.recorder,
            clock=self._ports.clock,
            journal=self._ports.journal,
        )

    @cached_property
    def advancer(self) -> "BatchAdvancer":
        from chalicelib.operations.advance_batch import BatchAdvancer

        return BatchAdvancer(
            store=self._ports.store,
            queue=self._ports.queue,
            recorder=self.recorder,
            completion=self.completion,
            checker=self.checker,
            handover=self.handover,
            clock=self._ports.clock,
        )

    @cached_property
    def delivery(self) -> "CallbackDelivery":
        from chalicelib.operations.deliver_callback import CallbackDelivery

        return CallbackDelivery(
            store=self._ports.store,
            keys=self._ports.cached_keys,
            queue=self._ports.queue,
            receiver=self._ports.receiver,
            completion=self.completion,
            handover=self.handover,
            clock=self._ports.clock,
            journal=self._ports.journal,
            random_unit=self._ports.random_unit,
            new_id=self._ports.new_id,
        )

    @cached_property
    def sweeper(self) -> "Sweeper":
        from chalicelib.operations.sweep import Sweeper

        return Sweeper(
            store=self._ports.store,
            queue=self._ports.queue,
            concurrent=self._ports.concurrent_requests,
            clock=self._ports.clock,
            journal=self._ports.journal,
        )

    def warm_up(self) -> None:
        """Create every operation now, for a process that runs all functions, several at a time. A
        Lambda container creates only those of its function, in its first invocation."""
        workers = (self.runner, self.checker, self.burier, self.advancer, self.delivery)
        for each in (self.api, *workers, self.sweeper):
            assert each  # noqa: S101 - reading one creates it
        self._ports.platform.prepare()
