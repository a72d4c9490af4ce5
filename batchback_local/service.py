"""Starts the whole service, shows its addresses, and stops it.

    embedded AWS -> resources -> demo key -> receiver, platform -> app -> gateway -> console
    -> event sources

As in Lambda, the environment is prepared before app.py is imported. Everything is stopped in the
opposite order, and nothing can keep the process alive.
"""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import boto3
from chalice.app import Chalice

from batchback_console.server import PREFERRED_PORT as _CONSOLE_PORT
from batchback_local import console
from batchback_local.aws.embedded import EmbeddedAws
from batchback_local.aws.resources import create_resources
from batchback_local.clock import LocalClock, machine_now
from batchback_local.demonstration.account import CALLBACK_SECRET, put_demo_key
from batchback_local.demonstration.example import smallest_batch
from batchback_local.demonstration.faults import Switches
from batchback_local.demonstration.platform import DemonstrationPlatform
from batchback_local.demonstration.receiver import DemonstrationReceiver
from batchback_local.errors import PortInUse
from batchback_local.log import ReadableLog, say
from batchback_local.ready_file import write
from batchback_local.runtime import environment, service_code
from batchback_local.runtime.event_source import Running
from batchback_local.runtime.gateway import Gateway
from batchback_local.runtime.workers import WorkerProcesses
from chalicelib import settings
from chalicelib.domain.account import PlatformAuth
from chalicelib.settings import Names

_Server = TypeVar("_Server")

_PREFERRED_PORT = 8000
#: The ports in the local stage's configuration, which `chalice local --stage local` and the
#: operators' commands use.
_AWS_PORT, _PLATFORM_PORT, _RECEIVER_PORT = 4566, 4567, 4568
_USUAL_ADDRESS = f"http://127.0.0.1:{_PREFERRED_PORT}"
#: Why the clock cannot be moved after --no-http.
_CLOCK_OF_CHALICE = (
    "The HTTP API runs in another program, whose clock stays: start `batchback local` without "
    "--no-http to move the clock."
)
#: Serves the HTTP API after --no-http.
_BY_CHALICE = ".venv/bin/chalice local --stage local --port 8000 --no-autoreload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `batchback local`. Ports that are not given are None."""

    port: int | None = None
    aws_port: int | None = None
    platform_port: int | None = None
    receiver_port: int | None = None
    console_port: int | None = None
    platform: str | None = None
    key: str = "demo"
    secret: str = "demo-secret"  # noqa: S105 - the demonstration's
    no_http: bool = False
    worker_processes: int = 0
    ready_file: str | None = None

    def with_fixed_ports(self) -> "Options":
        """The same options. Ports that are not given become those that `chalice local` uses."""
        return replace(
            self,
            aws_port=self.aws_port or _AWS_PORT,
            platform_port=self.platform_port or _PLATFORM_PORT,
            receiver_port=self.receiver_port or _RECEIVER_PORT,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalService:
    """The addresses and names of a running service."""

    #: Without /api/1.0. None: `chalice local` serves the API.
    address: str | None
    aws_endpoint: str
    region: str
    platform: str
    receiver: str
    #: With its token.
    console: str
    key: str
    secret: str
    callback_secret: str
    names: Names
    queue_urls: dict[str, str]
    worker_pids: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The content of the ready file."""
        return {
            "address": self.address,
            "awsEndpoint": self.aws_endpoint,
            "region": self.region,
            "platform": self.platform,
            "receiver": self.receiver,
            "console": self.console,
            "key": self.key,
            "secret": self.secret,
            "callbackSecret": self.callback_secret,
            "stage": self.names.stage,
            "tables": {"batches": self.names.batches_table, "keys": self.names.keys_table},
            "queues": _queues(self.names),
            "queueUrls": self.queue_urls,
            "pid": os.getpid(),
            "workerPids": list(self.worker_pids),
        }

    def describe(self) -> str:
        """A text for people: every address, and a batch to send."""
        address = self.address or _USUAL_ADDRESS
        curl = [
            *("curl", "-sS", "-u", f"{self.key}:{self.secret}"),
            *("-H", "Content-Type: application/json"),
            *("-d", json.dumps(smallest_batch(self.receiver))),
            f"{address}/api/1.0/batch?action=run",
        ]
        return "\n".join(
            [
                self._what_is_up(),
                "",
                f"  service    {self.address or _BY_CHALICE}",
                f"  console    {self.console}    (open it in your browser)",
                f"  platform   {self.platform}    (GET /calls, POST /behave)",
                f"  receiver   {self.receiver}    (GET /received, POST /behave)",
                f"  AWS        {self.aws_endpoint}    stage {self.names.stage}",
                f"  key        {self.key}, with secret {self.secret}",
                f"  callbacks  signed with {self.callback_secret}",
                "",
                "Send a batch, then see what the receiver got:",
                "",
                f"  {shlex.join(curl)}",
                f"  curl -sS {self.receiver}/received",
                "",
            ]
        )

    def _what_is_up(self) -> str:
        if self.address:
            return "The whole service is up; Ctrl-C stops it."
        return (
            "Everything is up except the HTTP API: start it with the command below. Ctrl-C stops "
            "everything else."
        )


@contextmanager
def running(options: Options) -> Iterator[LocalService]:
    """Run the whole service inside the block. CannotStart with the reason if it does not start."""
    if options.no_http:
        options = options.with_fixed_ports()
    clock = LocalClock()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(ReadableLog(sys.stderr, clock.now)))
        yield _start(options, clock, stack)


def _start(options: Options, clock: LocalClock, stack: ExitStack) -> LocalService:
    aws = stack.enter_context(
        _listening("AWS", partial(EmbeddedAws, clock=clock), options.aws_port, _AWS_PORT)
    )
    receiver = DemonstrationReceiver(callback_secret=CALLBACK_SECRET, now=clock.now)
    receiving = stack.enter_context(
        _listening("receiver", receiver.serve, options.receiver_port, _RECEIVER_PORT)
    )
    platform, switches = _platform(options, clock, stack)
    environment.prepare(aws_endpoint=aws.address, platform=platform)
    names = settings.names()
    _fill(names, options)
    app = service_code.load_app(clock)
    address = None if options.no_http else _serve(app, options.port, stack)
    tools = console.Tools(
        service_address=address or _USUAL_ADDRESS,
        why_fixed=None if address else _CLOCK_OF_CHALICE,
        key=options.key,
        secret=options.secret,
        is_demonstration=options.secret == Options().secret,
        platform_address=platform,
        platform=switches,
        receiver_address=receiving.address,
        demonstration=receiver,
        clock=clock,
    )
    service = LocalService(
        address=address,
        aws_endpoint=aws.address,
        region=os.environ["AWS_DEFAULT_REGION"],
        platform=platform,
        receiver=receiving.address,
        console=_show(tools, options, stack),
        key=options.key,
        secret=options.secret,
        callback_secret=CALLBACK_SECRET,
        names=names,
        queue_urls=_queue_urls(names),
    )
    return _work(service, app, options, clock, stack)


def _listening(
    what: str, listen: Callable[[int], _Server], named: int | None, usual: int
) -> _Server:
    """Listen on the given port, or else on the usual one, or else on any free one."""
    try:
        return listen(named or usual)
    except PortInUse:
        if named:
            raise
        say(f"Port {usual} is in use, so the {what} uses another one.")
        return listen(0)


def _platform(options: Options, clock: LocalClock, stack: ExitStack) -> tuple[str, Switches | None]:
    """The address of the given platform, or of the demonstration's, which is started, and its
    switches."""
    named = environment.named_platform(options.platform)
    if named:
        return named, None
    platform = DemonstrationPlatform(
        key=options.key,
        secret=options.secret,
        checks_signatures=os.environ.get("PLATFORM_AUTH", PlatformAuth.IWS) == PlatformAuth.IWS,
        now=clock.now,
    )
    server = _listening("platform", platform.serve, options.platform_port, _PLATFORM_PORT)
    return stack.enter_context(server).address, platform.switches


def _fill(names: Names, options: Options) -> None:
    create_resources(names.stage, visibility_seconds=environment.visibility_seconds())
    put_demo_key(
        boto3.client("dynamodb"),
        names.keys_table,
        key=options.key,
        secret=options.secret,
        callback_secret=CALLBACK_SECRET,
        now=machine_now(),
    )


def _serve(app: Chalice, port: int | None, stack: ExitStack) -> str:
    config = service_code.stage_configuration()
    gateway = _listening("service", lambda at: Gateway(app, config, at), port, _PREFERRED_PORT)
    return stack.enter_context(gateway).address


def _show(tools: console.Tools, options: Options, stack: ExitStack) -> str:
    """Serve the console. Return its address."""
    serve = partial(console.serve, tools)
    server = _listening("console", serve, options.console_port, _CONSOLE_PORT)
    return stack.enter_context(server).address


def _work(
    service: LocalService, app: Chalice, options: Options, clock: LocalClock, stack: ExitStack
) -> LocalService:
    """Start the workers, in this process or in others. Schedules always run in this process."""
    ready_file = Path(options.ready_file) if options.ready_file else None
    sources = service_code.event_sources(app, clock)
    stack.enter_context(Running(sources.schedules(environment.sweep_seconds())))
    if not options.worker_processes:
        stack.enter_context(Running(sources.queues()))
        _write_ready_file(ready_file, service)
        return service
    workers = WorkerProcesses(
        options.worker_processes,
        clock,
        on_change=lambda pids: _write_ready_file(
            ready_file, replace(service, worker_pids=tuple(pids))
        ),
    )
    stack.enter_context(workers)
    return replace(service, worker_pids=tuple(workers.pids))


def _write_ready_file(path: Path | None, service: LocalService) -> None:
    if path is None:
        return
    write(path, service.as_json())


def _queues(names: Names) -> dict[str, str]:
    return {
        "jobs": names.jobs_queue,
        "jobsDead": names.jobs_dead_queue,
        "batches": names.batches_queue,
        "batchesDead": names.batches_dead_queue,
        "callbacks": names.callbacks_queue,
        "callbacksDead": names.callbacks_dead_queue,
    }


def _queue_urls(names: Names) -> dict[str, str]:
    client = boto3.client("sqs")
    return {
        role: client.get_queue_url(QueueName=queue)["QueueUrl"]
        for role, queue in _queues(names).items()
    }
