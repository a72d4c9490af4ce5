"""The environment that the service's code finds itself in, as Lambda's configuration gives it."""

import os
from collections.abc import Mapping, MutableMapping

from batchback.local import project


def prepare(
    *,
    aws_endpoint: str,
    platform: str,
    environ: MutableMapping[str, str] | None = None,
) -> None:
    """Sets what the local stage's configuration sets, where the user has not set it, with the
    addresses of this run. AWS is the embedded one whatever the user has set: nothing here may ever
    reach a real account."""
    environ = os.environ if environ is None else environ
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]
    for name, value in project.environment().items():
        if not environ.get(name):
            environ[name] = value
    environ.update(_aws(aws_endpoint))
    environ["PLATFORM_ADDRESS"] = platform
    for name in ("NO_PROXY", "no_proxy"):
        environ[name] = ",".join(filter(None, [environ.get(name), "127.0.0.1,localhost"]))


def named_platform(option: str | None, environ: Mapping[str, str] | None = None) -> str | None:
    """The platform that the user wants called; None: the demonstration's."""
    environ = os.environ if environ is None else environ
    return option or environ.get("PLATFORM_ADDRESS") or None


def _aws(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
