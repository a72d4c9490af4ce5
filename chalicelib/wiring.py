"""The service of this process: settings from its environment, and AWS behind its ports."""

import random
import uuid
from collections.abc import Callable
from functools import cache
from typing import Any

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
    Clock,
    Concurrent,
    Journal,
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
    dynamodb: Any = None,
    sqs: Any = None,
) -> Ports:
    """Return every port, with AWS and HTTP behind them. Nothing is sent until a port is used.

    The AWS clients are those of this process's service unless others are given.
    `concurrent_requests` sends the many requests of a large batch; each spends its time waiting."""
    clock = clock or SystemClock()
    journal = journal or JsonJournal(clock, settings.stage)
    requests = concurrent_requests or ConcurrentThreads(REQUESTS_AT_ONCE, flush_seconds=1)
    dynamodb, sqs = dynamodb or aws.dynamodb(), sqs or aws.sqs()
    keys_table = settings.names.keys_table
    return Ports(
        store=DynamoBatchStore(dynamodb, settings.names.batches_table, concurrent=requests),
        keys=DynamoKeyStore(dynamodb, keys_table, clock, 0),
        cached_keys=DynamoKeyStore(dynamodb, keys_table, clock, WORKERS_REMEMBER_SECONDS),
        queue=_queue(settings, sqs, requests),
        platform=_platform(settings, clock, journal),
        receiver=HttpReceiver(policy=settings.address_policy),
        concurrent=ConcurrentThreads(settings.jobs_side_by_side, settings.flush_seconds),
        concurrent_requests=requests,
        clock=clock,
        journal=journal,
        new_id=_new_id,
        random_unit=random.random,
    )


def _queue(settings: Settings, sqs: Any, concurrent_requests: Concurrent) -> Queue:
    return SqsQueue(
        sqs,
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
