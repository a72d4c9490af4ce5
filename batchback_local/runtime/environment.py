"""Sets the environment variables of the service's code, as Lambda's configuration does."""

import os
from collections.abc import Mapping, MutableMapping

from batchback_local.errors import CannotStart
from batchback_ops import project
from chalicelib import settings

#: Changes which numbers are valid JSON. Lambda does not set it.
_OF_PYTHON = ("PYTHONINTMAXSTRDIGITS",)
#: The longest time that SQS can hide a message.
_LONGEST_SECONDS = 43_200


def prepare(
    *,
    aws_endpoint: str,
    platform: str,
    environ: MutableMapping[str, str] | None = None,
) -> None:
    """Set the variables of the local stage's configuration that the user has not set, and the
    addresses of this run. AWS is always the embedded one, because nothing here may reach a real
    account."""
    environ = os.environ if environ is None else environ
    for name in [name for name in environ if name.startswith(("AWS_", *_OF_PYTHON))]:
        del environ[name]
    for name, value in project.environment(project.LOCAL_STAGE).items():
        if not environ.get(name):
            environ[name] = value
    environ["AWS_ENDPOINT_URL"] = aws_endpoint
    environ["PLATFORM_ADDRESS"] = platform
    settings.stay_on_this_machine(environ)


def named_platform(option: str | None, environ: Mapping[str, str] | None = None) -> str | None:
    """The platform that the user wants to call, or None for the demonstration's."""
    environ = os.environ if environ is None else environ
    return option or environ.get("PLATFORM_ADDRESS") or None


def visibility_seconds(environ: Mapping[str, str] | None = None) -> int | None:
    """LOCAL_VISIBILITY_SECONDS: how long until the message of a dead worker comes back. None: as
    long as the template says."""
    return _seconds("LOCAL_VISIBILITY_SECONDS", environ)


def sweep_seconds(environ: Mapping[str, str] | None = None) -> int | None:
    """LOCAL_SWEEP_SECONDS: how often scheduled functions run. None: as often as in AWS."""
    return _seconds("LOCAL_SWEEP_SECONDS", environ)


def _seconds(name: str, environ: Mapping[str, str] | None) -> int | None:
    text = (os.environ if environ is None else environ).get(name, "")
    if text and not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _LONGEST_SECONDS):
        raise CannotStart(
            f"{name} must be a whole number from 1 to {_LONGEST_SECONDS}, not {text!r}."
        )
    return int(text) if text else None
