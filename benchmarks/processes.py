"""Child processes: the stubs, and the workers whose CPU is measured. All of them are gone, with
their own children, when they are left."""

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
    """A process that talks by its standard input and output, line by line; its complaints go to
    the log, or where ours go."""
    process = subprocess.Popen(  # noqa: S603 - our own modules
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
    """What it says next; RuntimeError where it ended instead."""
    line = _pipe(process.stdout).readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with status {process.wait()}")
    return line.rstrip("\n")


def write_line(process: subprocess.Popen[str], line: str) -> None:
    pipe = _pipe(process.stdin)
    pipe.write(line + "\n")
    pipe.flush()


def ask(address: str, method: str, target: str, body: object = None) -> Any:
    """The JSON that a stub answers."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(method, target, None if body is None else json.dumps(body).encode())
        return json.loads(connection.getresponse().read() or b"null")
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class StubPlatform:
    """The stub platform and receiver, and what can be asked of it."""

    address: str

    def behave(self, *, latency_ms: int, answer_bytes: int) -> None:
        wanted = {"latency_ms": latency_ms, "answer_bytes": answer_bytes}
        ask(self.address, "POST", "/settings", wanted)

    def next_callback(self, jobs: int) -> dict[str, Any]:
        """Waits for a callback; RuntimeError where it is not that of so many jobs, in order."""
        found: dict[str, Any] = ask(self.address, "GET", "/callbacks")
        if found["jobs"] != jobs or not found["in_order"]:
            raise RuntimeError(f"The callback of {jobs} jobs is not as it should be: {found}")
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
        """What it has used since it was last asked."""
        write_line(self.process, "report")
        found: dict[str, Any] = json.loads(read_line(self.process))
        return found


class StubbedService:
    """The service's functions in processes of their own, on the stub AWS."""

    def __init__(self, platform: StubPlatform, aws: str, workers: dict[str, Worker]) -> None:
        self.platform = platform
        #: By the function they run.
        self.workers = workers
        self._aws = aws

    def submit(self, jobs: Sequence[Any]) -> str:
        """The id of a batch of these jobs."""
        order = {"jobs": [*jobs], "callbackUrl": f"{self.platform.address}/callback"}
        id: str = json.loads(self.ask("run", order)["body"])["asyncId"]
        return id

    def ask(self, action: str, parameters: object) -> dict[str, Any]:
        """What `api` answers a caller, as Lambda hands it back."""
        event = gateway_event(action, parameters)
        answer: dict[str, Any] = ask(self._aws, "POST", "/invoke/api", event)
        if answer["statusCode"] != 200:
            raise RuntimeError(f"{action} was refused: {answer}")
        return answer

    def usage(self) -> dict[str, Any]:
        """What each function has used since it was last asked, once all of them are done."""
        ask(self._aws, "GET", "/idle/")
        return {function: worker.usage() for function, worker in self.workers.items()}


@contextmanager
def stubbed_service(platform: StubPlatform, **settings: str) -> Iterator[StubbedService]:
    """One worker process for each function."""
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
        aws_secret_access_key="bench",  # noqa: S106 - no secret: it is for a stub
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
    assert pipe is not None  # noqa: S101 - asked for when it was started
    return pipe


def _end(process: subprocess.Popen[str]) -> None:
    """It is told to go, by the end of its standard input and by a signal; what is left of it and of
    its children is killed."""
    _pipe(process.stdin).close()
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _pipe(process.stdout).close()
