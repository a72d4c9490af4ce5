"""The service of this process: settings from its environment, and AWS behind its ports."""

import random
import uuid
from collections.abc import Callable
from functools import cache

from chalicelib import settings
from chalicelib.adapters import aws
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.adapters.clock import SystemClock
from chalicelib.adapters.http import HttpPlatform, HttpReceiver
from chalicelib.adapters.journal import JsonJournal
from chalicelib.adapters.key_store import DynamoKeyStore
from chalicelib.adapters.sqs import SqsQueue
from chalicelib.adapters.ssm import SsmHeader
from chalicelib.adapters.threads import ConcurrentThreads
from chalicelib.domain.account import WORKERS_REMEMBER_SECONDS, Header, PlatformAuth
from chalicelib.operations.ports import (
    BatchStore,
    Clock,
    Concurrent,
    Journal,
    KeyStore,
    Platform,
    Ports,
    Queue,
)
from chalicelib.service import Service
from chalicelib.settings import Settings

#: How many requests to one AWS service are sent concurrently: fewer than the ten connections that
#: its client keeps.
REQUESTS_AT_ONCE = 8


@cache
def service() -> Service:
    """The service of this process, configured from its environment. A container keeps it."""
    configured = settings.read()
    if configured.stage == settings.LOCAL_STAGE:
        settings.stay_on_this_machine()
    return Service(configured, connect(configured))


def connect(
    settings: Settings,
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
    concurrent_requests: Concurrent | None = None,
) -> Ports:
    """Return every port, with AWS and HTTP behind them. Nothing is sent until a port is used.

    `concurrent_requests` sends the many requests of a large batch; each spends its time waiting."""
    clock = clock or SystemClock()
    journal = journal or JsonJournal(clock, settings.stage)
    requests = concurrent_requests or ConcurrentThreads(REQUESTS_AT_ONCE, flush_seconds=1)
    return Ports(
        store=_batch_store(settings, requests),
        keys=_key_store(settings, clock, remember_seconds=0),
        cached_keys=_key_store(settings, clock, remember_seconds=WORKERS_REMEMBER_SECONDS),
        queue=_queue(settings, requests),
        platform=_platform(settings, clock, journal),
        receiver=HttpReceiver(policy=settings.address_policy),
        concurrent=ConcurrentThreads(settings.jobs_side_by_side, settings.flush_seconds),
        concurrent_requests=requests,
        clock=clock,
        journal=journal,
        new_id=_new_id,
        random_unit=random.random,
    )


def _batch_store(settings: Settings, concurrent_requests: Concurrent) -> BatchStore:
    table = settings.names.batches_table
    return DynamoBatchStore(aws.dynamodb(), table, concurrent=concurrent_requests)


def _key_store(settings: Settings, clock: Clock, remember_seconds: float) -> KeyStore:
    return DynamoKeyStore(aws.dynamodb(), settings.names.keys_table, clock, remember_seconds)


def _queue(settings: Settings, concurrent_requests: Concurrent) -> Queue:
    return SqsQueue(
        aws.sqs(),
        jobs_queue=settings.names.jobs_queue,
        batches_queue=settings.names.batches_queue,
        callbacks_queue=settings.names.callbacks_queue,
        concurrent=concurrent_requests,
    )


def _platform(settings: Settings, clock: Clock, journal: Journal) -> Platform:
    return HttpPlatform(
        address=settings.platform_address,
        auth=settings.platform_auth,
        header=platform_header(settings, clock, journal),
        timeout_seconds=settings.job_timeout_seconds,
        clock=clock,
        connections=settings.jobs_side_by_side,
    )


def platform_header(
    settings: Settings, clock: Clock, journal: Journal
) -> Callable[[], Header | None]:
    """Return what reads the fixed header that goes with each call; it returns None if there is
    none."""
    header = settings.platform_header
    if settings.platform_auth is not PlatformAuth.HEADER:
        return lambda: None
    if header == "ssm":
        return SsmHeader(aws.ssm, settings.names.platform_header, clock, journal)
    return lambda: header


def _new_id() -> str:
    return uuid.uuid4().hex
