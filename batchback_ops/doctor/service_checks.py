"""Check that the service answers and runs jobs, as a caller sees it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

from batchback import Client, Progress, Refused, Unreachable
from batchback.shell import Shell

from batchback_ops import project
from batchback_ops.doctor.diagnosis import Check, Skipped, Wrong
from batchback_ops.doctor.remedies import deploy
from batchback_ops.stage import Stage
from chalicelib.errors import KeyRevoked, ParameterMissing, RequestStale

#: The address of `batchback local` if its port was free.
_LOCAL_ADDRESS = "http://127.0.0.1:8000"
_THIS_MACHINE = re.compile(r"https?://(127(\.\d+){3}|localhost|\[::1\])([:/]|$)")
_PATIENCE_SECONDS = 60
_POLL_SECONDS = 0.5
#: The platform does not know the caller, so it would run no job.
_NOT_US = {401, 403, 463}
#: Names that never lead anywhere. https://www.rfc-editor.org/rfc/rfc2606
_RESERVED = re.compile(r"(^|\.)(example(\.(com|net|org))?|invalid|test)\.?$")
#: The service's own answer if the platform gives none.
_NO_ANSWER = 461


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How to try the service. What is None is looked up, or left out."""

    address: str | None = None
    key: str | None = None
    secret: str | None = None
    callback_url: str | None = None
    no_batch: bool = False
    #: The time at which requests are signed; None: the shell's.
    signing_time: Callable[[], datetime] | None = None


def checks(trial: Trial, stage: Stage, shell: Shell) -> list[Check]:
    service = _Service(trial=trial, stage=stage, shell=shell)
    of_api_gateway = [Check(name="gateway errors", run=service.judge_errors_of_the_gateway)]
    return [
        Check(name="platform", run=partial(_platform, stage)),
        Check(name="api", run=service.judge_answer),
        *([] if stage.is_local else of_api_gateway),
        Check(name="ping", run=service.judge_ping),
        Check(name="batch", run=service.judge_batch),
    ]


def _platform(stage: Stage) -> str:
    """Check the configuration only. The batch shows whether the platform answers."""
    address = urlsplit(stage.variables.get("PLATFORM_ADDRESS", "").strip())
    variables = f"stages.{stage.name}.environment_variables of .chalice/config.json"
    host = address.hostname or ""
    if _RESERVED.search(host):
        raise Wrong(
            f"PLATFORM_ADDRESS is a placeholder, {host}: every job fails",
            f"set it to your platform in {variables}, then {deploy(stage)}",
        )
    if address.scheme == "http" and _sends_header(stage) and not stage.is_local:
        raise Wrong(
            f"PLATFORM_ADDRESS is http://{host}: each call sends PLATFORM_HEADER unencrypted",
            f"set an https address in {variables}, then {deploy(stage)}, and replace the header's "
            "value, because somebody may have read it",
        )
    return host


def _sends_header(stage: Stage) -> bool:
    """Whether calls carry PLATFORM_HEADER, which is a secret."""
    return stage.variables.get("PLATFORM_AUTH", "").strip().lower() == "header"


@dataclass(frozen=True, kw_only=True)
class _Service:
    trial: Trial
    stage: Stage
    shell: Shell

    def judge_answer(self) -> str:
        """A stranger must get the service's own 401. This needs API Gateway, the function and the
        keys table."""
        try:
            with self._client("nobody", "nothing") as stranger:
                stranger.ping()
        except Refused as refused:
            if refused.error_code != 401:
                raise self._failed(refused) from refused
            return f"{self._address} answers"
        except Unreachable as unreachable:
            raise self._not_there(unreachable) from unreachable
        raise Wrong(f"{self._address} accepts any key", "give the service's address with --address")

    def judge_errors_of_the_gateway(self) -> str:
        """Clients that check `errorCode` must see API Gateway's own answers as errors."""
        try:
            with self._client("nobody", "nothing") as stranger:
                stranger.call("no/such/path", "ping", {})
        except Refused:
            return "they have the service's shape"
        except Unreachable as unreachable:
            raise Wrong(
                f"they have no errorCode, so some clients take them for success: {unreachable}",
                f"batchback resources gateway --stage {self.stage.name}, after each chalice deploy",
            ) from unreachable
        raise Wrong(
            f"{self._address} answers a path that does not exist",
            "give the service's address with --address",
        )

    def judge_ping(self) -> str:
        with self._caller() as caller:
            try:
                return f"answered a signed call at {caller.ping()['ack']}"
            except Refused as refused:
                raise self._not_understood(refused) from refused
            except Unreachable as unreachable:
                raise self._not_there(unreachable) from unreachable

    def judge_batch(self) -> str:
        """Run one job, `test.ping`, from submission to the callback if there is one."""
        if self.trial.no_batch:
            raise Skipped("--no-batch")
        with self._caller() as caller:
            try:
                return self._see_through(caller)
            except Refused as refused:
                raise self._not_understood(refused) from refused
            except Unreachable as unreachable:
                raise self._not_there(unreachable) from unreachable

    def _see_through(self, caller: Client) -> str:
        batch_id = self._submit(caller)
        progress = self._wait(caller, batch_id)
        if progress.get("status") == "running":
            raise Wrong(
                f"batch {batch_id} is still running after {_PATIENCE_SECONDS} s",
                f"batchback ops show {batch_id} --stage {self.stage.name}; its `call failed` lines "
                "say what the platform answers",
            )
        response = caller.results(batch_id)["results"][0]["response"]
        return f"{batch_id}: {_of_platform(response)}{_of_callback(progress)}"

    def _submit(self, caller: Client) -> str:
        jobs: Any = [{"namespace": "test", "action": "ping"}]
        try:
            return caller.run(jobs, self.trial.callback_url)["asyncId"]
        except Refused as refused:
            if self.trial.callback_url or refused.specific_code != ParameterMissing.specific_code:
                raise
            raise Skipped(
                "this stage requires a callback: give --callback-url, an address of yours that "
                "answers 2xx"
            ) from refused

    def _wait(self, caller: Client, batch_id: str) -> Progress:
        """The progress once the batch and its callback are over, or when the time is up."""
        deadline = self.shell.monotonic() + _PATIENCE_SECONDS
        while True:
            progress = caller.progress(batch_id)
            is_over = progress.get("status") != "running" and not _awaits_callback(progress)
            if is_over or self.shell.monotonic() >= deadline:
                return progress
            self.shell.sleep(_POLL_SECONDS)

    def _caller(self) -> Client:
        key, secret = self._setting("key"), self._setting("secret")
        if not key or not secret:
            raise Skipped(
                "give a key of this stage with --key and --secret, or in BATCHBACK_KEY and "
                f"BATCHBACK_SECRET (batchback keys create --account doctor --stage "
                f"{self.stage.name})"
            )
        return self._client(key, secret)

    def _client(self, key: str, secret: str) -> Client:
        try:
            return Client(self._address, key, secret, now=self.trial.signing_time or self.shell.now)
        except ValueError as error:
            raise Wrong(str(error), "correct --address, --key and --secret") from error

    @cached_property
    def _address(self) -> str:
        if self.trial.address:
            return self.trial.address
        if self.stage.is_local:
            return self._local_address
        if deployed := _deployed(self.stage):
            return deployed
        raise Wrong(
            "its address is unknown: this checkout has no .chalice/deployed for the stage, and its "
            "stack has no EndpointURL",
            f"chalice deploy --stage {self.stage.name}, or give --address (BATCHBACK_ADDRESS is "
            "ignored, because it may be another stage's)",
        )

    @property
    def _local_address(self) -> str:
        """BATCHBACK_ADDRESS if that is on this machine."""
        named = self.shell.environ.get("BATCHBACK_ADDRESS", "")
        return named if _THIS_MACHINE.match(named) else _LOCAL_ADDRESS

    def _setting(self, name: str) -> str:
        given: str = getattr(self.trial, name) or ""
        return given or self.shell.environ.get(f"BATCHBACK_{name.upper()}", "")

    def _not_there(self, unreachable: Unreachable) -> Wrong:
        if self.stage.is_local:
            return Wrong(
                str(unreachable), "make serve, then pass the address that it prints with --address"
            )
        return Wrong(
            str(unreachable), f"chalice deploy --stage {self.stage.name}, or correct --address"
        )

    def _not_understood(self, refused: Refused) -> Wrong:
        if refused.error_code == KeyRevoked.error_code:
            create = f"batchback keys create --account A --stage {self.stage.name}"
            return Wrong("the key is revoked", create)
        if refused.specific_code == RequestStale.specific_code:
            return Wrong(str(refused), "correct this machine's clock")
        if refused.error_code == 401:
            return Wrong(
                "the key or its secret is wrong",
                f"check the key with batchback keys list --stage {self.stage.name}; if its secret "
                "is lost, rotate it",
            )
        return self._failed(refused)

    def _failed(self, refused: Refused) -> Wrong:
        return Wrong(str(refused), "see the `request failed` lines in the log of api_handler")


def _of_platform(response: Any) -> str:
    """What the job's answer says. An error of the platform's own also shows that jobs reach it."""
    code = response.get("errorCode") if isinstance(response, dict) else None
    if code is None:
        return "test.ping ran"
    said = f"the job was answered with {code}: {response.get('message')}"
    if code in _NOT_US:
        raise Wrong(said, "check PLATFORM_AUTH, and that the platform knows this key")
    if code == _NO_ANSWER:
        raise Wrong(said, "check PLATFORM_ADDRESS, and that the platform is up")
    return f"{said}, so jobs reach the platform, which has no test.ping"


def _of_callback(progress: Progress) -> str:
    """The outcome of the callback, as the end of a sentence."""
    callback: Any = progress.get("callback", {"status": "none"})
    if callback["status"] == "none":
        return ""
    if callback["status"] != "delivered":
        why = callback.get("lastError") or f"HTTP {callback.get('lastStatus')}"
        raise Wrong(
            f"its callback was not delivered within {_PATIENCE_SECONDS} s: {why}",
            "check what answers at --callback-url",
        )
    return ", its callback was delivered"


def _awaits_callback(progress: Progress) -> bool:
    """Whether the first attempt is still to end. Between later ones the outcome is known."""
    callback: Any = progress.get("callback", {})
    has_outcome = callback.get("lastStatus") or callback.get("lastError")
    return callback.get("status") == "waiting" and not has_outcome


def _deployed(stage: Stage) -> str | None:
    """The address that `chalice deploy` recorded here, or that a pipeline's stack outputs."""
    for resource in project.deployed(stage.name):
        if "rest_api_url" in resource:
            return str(resource["rest_api_url"]).rstrip("/")
    return _of_stack(stage)


def _of_stack(stage: Stage) -> str | None:
    from botocore.exceptions import ClientError

    try:
        answer = stage.client("cloudformation").describe_stacks(
            StackName=project.stack_name(stage.name)
        )
    except ClientError:  # the check of the stack reports it
        return None
    outputs = answer["Stacks"][0].get("Outputs", [])
    found = [each["OutputValue"] for each in outputs if each["OutputKey"] == "EndpointURL"]
    return str(found[0]).rstrip("/") if found else None
