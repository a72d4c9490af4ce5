"""Every environment variable: its meaning, default and range. Only this module reads os.environ.

All faults are reported together, in one Misconfigured.
"""

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from chalicelib.domain import hostnames
from chalicelib.domain.account import Header, PlatformAuth, parse_header
from chalicelib.domain.address import AddressPolicy
from chalicelib.domain.dataclass import dataclass
from chalicelib.errors import Misconfigured

#: The least time that results are kept after the deadline of their jobs, as callers are promised.
RESULTS_HOURS = 48

#: The stage that runs on one machine.
LOCAL_STAGE = "local"

Value = TypeVar("Value")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The service's configuration, read once per container."""

    stage: str
    platform_address: str
    platform_auth: PlatformAuth
    #: The name and the value of the fixed header; "ssm" if they are in `Names.platform_header`.
    platform_header: Header | Literal["ssm"] | None
    job_timeout_seconds: int
    job_retry_seconds: int
    max_jobs_per_batch: int
    jobs_per_message: int
    jobs_side_by_side: int
    #: None for as many as Lambda runs.
    max_concurrent_workers: int | None
    #: The same for the function that sends callbacks.
    max_concurrent_callbacks: int | None
    outage_minutes: int
    flush_seconds: float
    deadline_hours: int
    expiry_hours: int
    callback_required: bool
    basic_auth: bool
    allowed_callback_networks: tuple[Network, ...]
    max_open_batches: int
    max_jobs_per_minute: int

    def __repr__(self) -> str:
        return f"Settings(stage={self.stage!r}, ...)"  # the header's value is a secret

    @property
    def names(self) -> "Names":
        return Names(self.stage)

    @property
    def address_policy(self) -> AddressPolicy:
        """Which addresses may be called besides public ones."""
        return AddressPolicy(allowed_networks=self.allowed_callback_networks)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the stage's tables, queues and parameter; the template derives the same
    names."""

    stage: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,29}", self.stage):
            raise Misconfigured(
                f"STAGE must be 1 to 30 lower-case letters, digits and '-', not {self.stage!r}"
            )

    @property
    def batches_table(self) -> str:
        return f"batchback-{self.stage}-batches"

    @property
    def keys_table(self) -> str:
        return f"batchback-{self.stage}-keys"

    @property
    def jobs_queue(self) -> str:
        return f"batchback-{self.stage}-jobs"

    @property
    def jobs_dead_queue(self) -> str:
        return f"batchback-{self.stage}-jobs-dead"

    @property
    def batches_queue(self) -> str:
        return f"batchback-{self.stage}-batches"

    @property
    def batches_dead_queue(self) -> str:
        return f"batchback-{self.stage}-batches-dead"

    @property
    def callbacks_queue(self) -> str:
        return f"batchback-{self.stage}-callbacks"

    @property
    def callbacks_dead_queue(self) -> str:
        return f"batchback-{self.stage}-callbacks-dead"

    @property
    def platform_header(self) -> str:
        """The Systems Manager parameter that is read if PLATFORM_HEADER is `ssm`."""
        return f"/batchback-{self.stage}/platform-header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One environment variable, as docs/settings.md shows it."""

    name: str
    meaning: str
    parse: Callable[[str], Any]
    #: None if it must be set.
    default: str | None


def names(environ: Mapping[str, str] | None = None) -> Names:
    """Return the names alone, for app.py, whose decorators run before anything else is
    configured."""
    environ = os.environ if environ is None else environ
    return Names(_stage_of(environ))


def is_header_kept(environ: Mapping[str, str]) -> bool:
    """Whether a stage with these variables keeps its fixed header in Parameter Store."""
    auth, header = (environ.get(f"PLATFORM_{name}", "").strip() for name in ("AUTH", "HEADER"))
    return (auth.lower(), header) == ("header", "ssm")


def max_concurrent(of: str, environ: Mapping[str, str] | None = None) -> int | None:
    """Return the setting MAX_CONCURRENT_<of> alone, for app.py: a deployment writes it into the
    trigger of a function."""
    environ = os.environ if environ is None else environ
    [variable] = [each for each in VARIABLES if each.name == f"MAX_CONCURRENT_{of}"]
    try:
        most: int | None = _value(variable, environ)
    except ValueError as error:
        raise Misconfigured(f"{variable.name} {error}") from error
    return most


def stay_on_this_machine(environ: MutableMapping[str, str] | None = None) -> None:
    """Confine this process to the AWS of this machine: remove everything its user has set for
    accounts and networks. Raises Misconfigured if AWS_ENDPOINT_URL is not an address of this
    machine."""
    environ = os.environ if environ is None else environ
    if not is_of_this_machine(environ.get("AWS_ENDPOINT_URL", "")):
        raise Misconfigured(
            f"AWS_ENDPOINT_URL must be an address of this machine in the stage {LOCAL_STAGE}, such "
            f"as http://127.0.0.1:4566: see stages.{LOCAL_STAGE} in .chalice/config.json"
        )
    for name in [name for name in environ if _LEADS_ELSEWHERE.fullmatch(name)]:
        del environ[name]
    environ.update(_NO_ACCOUNT)


def is_of_this_machine(url: str) -> bool:
    """Whether a URL leads to the machine itself, judging by its text alone. A URL that libraries
    read in different ways does not: some take `a` for the host of `http://a\\@b`."""
    if not url.isprintable() or {*"\\@ "} & {*url}:
        return False
    try:
        host = urlsplit(url).hostname or ""
        return hostnames.is_loopback(host) or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


#: Profiles, endpoints of single services, proxies: everything that the stage does not set itself.
_LEADS_ELSEWHERE = re.compile(
    r"(?!AWS_(ENDPOINT_URL|ACCESS_KEY_ID|SECRET_ACCESS_KEY|DEFAULT_REGION|CHALICE_.*)$)"
    r"(AWS|BOTO)_.*|.*_proxy",
    re.IGNORECASE,
)
_NO_ACCOUNT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process, or raise Misconfigured with everything that is wrong."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    faults: list[str] = []
    for variable in VARIABLES:
        try:
            values[variable.name.lower()] = _value(variable, environ)
        except ValueError as error:
            faults.append(f"{variable.name} {error}")
    faults += _contradictions(values)
    if faults:
        raise Misconfigured("Wrong settings: " + "; ".join(faults))
    return Settings(**values)


def _stage_of(environ: Mapping[str, str]) -> str:
    stage = environ.get("STAGE")
    if not stage:
        raise Misconfigured(
            "STAGE is not set: check that .chalice/config.json has this stage, with its name under "
            "stages.<name>.environment_variables"
        )
    return stage


def _value(variable: Variable, environ: Mapping[str, str]) -> Any:
    text = environ.get(variable.name, "").strip() or variable.default
    if text is None:
        raise ValueError("must be set")
    return variable.parse(text)


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    faults = []
    if values.get("platform_auth") is PlatformAuth.HEADER and not values.get("platform_header", 1):
        faults.append("PLATFORM_HEADER must be set if PLATFORM_AUTH is header")
    least = values.get("deadline_hours", 0) + RESULTS_HOURS
    if values.get("expiry_hours", math.inf) < least:
        faults.append(
            f"EXPIRY_HOURS must be at least {least}, which is DEADLINE_HOURS plus {RESULTS_HOURS}: "
            "callers have two days to fetch results"
        )
    return faults


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return parse


def _workers(text: str) -> int | None:
    """Return a concurrency that Lambda accepts, or None for no limit.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html#events-sqs-max-concurrency"""
    workers = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 1
    if workers != 0 and not 2 <= workers <= 1000:
        raise ValueError(f"must be 0 or from 2 to 1000, not {text!r}")
    return workers or None


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text) or not low <= float(text) <= high:
            raise ValueError(f"must be a number from {low} to {high}, not {text!r}")
        return float(text)

    return parse


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"must be true or false, not {text!r}")
    return text.lower() == "true"


def _stage(text: str) -> str:
    try:
        return Names(text).stage
    except Misconfigured as error:
        raise ValueError(str(error).removeprefix("STAGE ")) from error


#: What each call adds to the platform's address.
_API_PATH = "/api/1.0"


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")
        is_good = parts.scheme in {"http", "https"} and host and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not text.isprintable() or {*"?#\\"} & {*text} or "@" in parts.netloc:
        raise ValueError("must be an http or https address without user, query or fragment")
    return text.rstrip("/").removesuffix(_API_PATH).rstrip("/")


def _auth(text: str) -> PlatformAuth:
    try:
        return PlatformAuth(text.lower())
    except ValueError as error:
        raise ValueError(f"must be iws, header or none, not {text!r}") from error


def _header(text: str) -> Header | Literal["ssm"] | None:
    if text == "-":
        return None
    return "ssm" if text == "ssm" else parse_header(text)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part != "-")
    except ValueError as error:
        raise ValueError(
            f"must be networks such as 10.0.0.0/8, separated by commas: {error}"
        ) from error


VARIABLES = (
    Variable(
        name="STAGE",
        meaning="The stage's name; tables and queues are named after it.",
        parse=_stage,
        default=None,
    ),
    Variable(
        name="PLATFORM_ADDRESS",
        meaning="The address of the platform, without `/api/1.0`: `https://api.example.com`.",
        parse=_address,
        default=None,
    ),
    Variable(
        name="PLATFORM_AUTH",
        meaning="How jobs authenticate to the platform: `iws` (signed as the caller), "
        "`header` (the fixed `PLATFORM_HEADER`) or `none`.",
        parse=_auth,
        default="iws",
    ),
    Variable(
        name="PLATFORM_HEADER",
        meaning="The fixed header, `Name: value` in ASCII, or `ssm` if it is kept "
        "[in Parameter Store](#the-platforms-header); only with `PLATFORM_AUTH` `header`. "
        "`-` for none.",
        parse=_header,
        default="-",
    ),
    Variable(
        name="JOB_TIMEOUT_SECONDS",
        meaning="The timeout of one call of a job.",
        parse=_whole(1, 40),
        default="30",
    ),
    Variable(
        name="JOB_RETRY_SECONDS",
        meaning="The longest wait before the first retry of a job; each further wait is four times "
        "as long.",
        parse=_whole(1, 14),
        default="2",
    ),
    Variable(
        name="MAX_JOBS_PER_BATCH",
        meaning="The most jobs one request may hold.",
        parse=_whole(1, 10_000),
        default="200",
    ),
    Variable(
        name="JOBS_PER_MESSAGE",
        meaning="The most jobs one message carries, and one worker runs.",
        parse=_whole(1, 100),
        default="50",
    ),
    Variable(
        name="JOBS_SIDE_BY_SIDE",
        meaning="The most jobs of a message that a worker runs concurrently.",
        parse=_whole(1, 100),
        default="25",
    ),
    Variable(
        name="MAX_CONCURRENT_WORKERS",
        meaning="The most concurrent workers, to protect the platform; `0` for no limit.",
        parse=_workers,
        default="10",
    ),
    Variable(
        name="MAX_CONCURRENT_CALLBACKS",
        meaning="The most concurrent callbacks, so that slow receivers do not hold up other "
        "functions; `0` for no limit.",
        parse=_workers,
        default="20",
    ),
    Variable(
        name="OUTAGE_MINUTES",
        meaning="How long a job waits for a platform that is down before its attempts count.",
        parse=_whole(0, 2_880),
        default="60",
    ),
    Variable(
        name="FLUSH_SECONDS",
        meaning="How often a worker records the answers it has so far.",
        parse=_seconds(0.1, 10),
        default="1",
    ),
    Variable(
        name="DEADLINE_HOURS",
        meaning="How long after submission or a restart unanswered jobs fail. The most for a "
        "caller's `deadlineMinutes`.",
        parse=_whole(1, 48),
        default="12",
    ),
    Variable(
        name="EXPIRY_HOURS",
        meaning="How long a batch and its results are kept after submission.",
        parse=_whole(1 + RESULTS_HOURS, 24 * 14),
        default="60",
    ),
    Variable(
        name="CALLBACK_REQUIRED",
        meaning="Whether `run` insists on a `callbackUrl`.",
        parse=_flag,
        default="true",
    ),
    Variable(
        name="BASIC_AUTH",
        meaning="Whether HTTP Basic is accepted as well as signatures.",
        parse=_flag,
        default="true",
    ),
    Variable(
        name="ALLOWED_CALLBACK_NETWORKS",
        meaning="Private networks that callbacks may go to, and `callbackHeaders` over http too, "
        "separated by commas; `-` for none.",
        parse=_networks,
        default="-",
    ),
    Variable(
        name="MAX_OPEN_BATCHES",
        meaning="The most running batches per account; `0` for no limit.",
        parse=_whole(0, 1_000),
        default="0",
    ),
    Variable(
        name="MAX_JOBS_PER_MINUTE",
        meaning="The most jobs a minute that an account may submit; `0` for no limit.",
        parse=_whole(0, 1_000_000),
        default="0",
    ),
)
