"""Child processes: the stubs, and the workers whose CPU is measured. Leaving their context ends
them and their own children."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import boto3

from batchback_local.demonstration.account import new_callback_secret, put_demo_key
from batchback_ops import project
from benchmarks.functions import API, CALL_BACK, KEY, RUN_JOBS, SECRET, gateway_event
from chalicelib.settings import Names

_TIMEOUT_SECONDS = 300
_GRACE_SECONDS = 2
_STAGE = "bench"


@contextmanager
def child(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    log: IO[str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process that reads and writes lines on its standard input and output. Its errors go to the
    log, or to our standard error."""
    process = subprocess.Popen(  # noqa: S603 - modules of this repository
        [*command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        cwd=folder or project.root(),
        env={**os.environ, "PYTHONPATH": str(project.root()), **(environment or {})},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def read_line(process: subprocess.Popen[str]) -> str:
    """Read the next line; raise RuntimeError if the process ended instead."""
    line = _pipe(process.stdout).readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with status {process.wait()}")
    return line.rstrip("\n")


def write_line(process: subprocess.Popen[str], line: str) -> None:
    pipe = _pipe(process.stdin)
    pipe.write(line + "\n")
    pipe.flush()


def ask(address: str, method: str, target: str, body: object = None) -> Any:
    """Return the JSON that a stub answers."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(method, target, None if body is None else json.dumps(body).encode())
        return json.loads(connection.getresponse().read() or b"null")
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class StubPlatform:
    """The stub platform and receiver."""

    address: str

    def behave(self, *, latency_ms: int, answer_bytes: int) -> None:
        wanted = {"latency_ms": latency_ms, "answer_bytes": answer_bytes}
        ask(self.address, "POST", "/settings", wanted)

    def next_callback(self, jobs: int) -> dict[str, Any]:
        """Wait for a callback; raise RuntimeError unless it holds that many jobs, in order."""
        found: dict[str, Any] = ask(self.address, "GET", "/callbacks")
        if found["jobs"] != jobs or not found["in_order"]:
            raise RuntimeError(f"Expected a callback with {jobs} jobs in order, got {found}")
        return found


@contextmanager
def stub_platform() -> Iterator[StubPlatform]:
    with child([sys.executable, "-m", "benchmarks.stubs.platform"]) as process:
        yield StubPlatform(read_line(process))


class Worker:
    """A process that runs some of the functions."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def usage(self) -> dict[str, Any]:
        """Return what it has used since the last call."""
        write_line(self.process, "report")
        found: dict[str, Any] = json.loads(read_line(self.process))
        return found


class StubbedService:
    """The service's functions on the stub AWS, in processes of their own."""

    def __init__(self, platform: StubPlatform, aws: str, workers: dict[str, Worker]) -> None:
        self.platform = platform
        #: The processes, by the function that they run.
        self.workers = workers
        self._aws = aws

    def submit(self, jobs: Sequence[Any]) -> str:
        """Submit these jobs as a batch and return its id."""
        order = {"jobs": [*jobs], "callbackUrl": f"{self.platform.address}/callback"}
        id: str = json.loads(self.ask("run", order)["body"])["asyncId"]
        return id

    def ask(self, action: str, parameters: object) -> dict[str, Any]:
        """Send a request to `api` and return its answer as Lambda returns it."""
        event = gateway_event(action, parameters)
        answer: dict[str, Any] = ask(self._aws, "POST", "/invoke/api", event)
        if answer["statusCode"] != 200:
            raise RuntimeError(f"{action} was rejected: {answer}")
        return answer

    def usage(self) -> dict[str, Any]:
        """Wait until all functions are done; return what each has used since the last call."""
        ask(self._aws, "GET", "/idle/")
        return {function: worker.usage() for function, worker in self.workers.items()}


@contextmanager
def stubbed_service(platform: StubPlatform, **settings: str) -> Iterator[StubbedService]:
    """Start one worker process for each function."""
    with ExitStack() as stack:
        aws = read_line(stack.enter_context(child([sys.executable, "-m", "benchmarks.stubs.aws"])))
        environment = _environment(platform.address, aws) | settings
        _put_key(aws)
        start = partial(_worker, aws, environment)
        workers = {
            function: stack.enter_context(start(function))
            for function in (API, RUN_JOBS, CALL_BACK)
        }
        yield StubbedService(platform, aws, workers)


@contextmanager
def _worker(aws: str, environment: Mapping[str, str], function: str) -> Iterator[Worker]:
    command = [sys.executable, "-m", "benchmarks.worker", function, aws]
    with child(command, environment) as process:
        read_line(process)
        yield Worker(process)


def _environment(platform: str, aws: str) -> dict[str, str]:
    return {
        "STAGE": _STAGE,
        "PLATFORM_ADDRESS": platform,
        "MAX_JOBS_PER_BATCH": "10000",
        "ALLOWED_CALLBACK_NETWORKS": "127.0.0.0/8",
        "AWS_ENDPOINT_URL": aws,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def _put_key(aws: str) -> None:
    client = boto3.client(
        "dynamodb",
        endpoint_url=aws,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",  # noqa: S106 - the stub accepts any secret
    )
    put_demo_key(
        client,
        Names(_STAGE).keys_table,
        key=KEY,
        secret=SECRET,
        callback_secret=new_callback_secret(),
        now=datetime.now(UTC),
    )


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None  # noqa: S101 - started with a pipe
    return pipe


def _end(process: subprocess.Popen[str]) -> None:
    """End a process: close its standard input and send a signal, then kill what is left of it and
    its children."""
    _pipe(process.stdin).close()
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _pipe(process.stdout).close()
