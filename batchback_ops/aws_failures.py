"""Why AWS refused a call, or did not answer, in one sentence.

The sentence is made only from the kind of failure and from names. The texts of botocore and its
libraries are never repeated, because they may contain a header with a token, the output of a
credential process, or an address with a password.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
)
_CREDENTIAL = re.compile(r"[!-~]*")
_ENDPOINT = re.compile(r"https?://[^\s/?#]+.*")
_WRONG_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


class MalformedCredentials(ValueError):
    """A part contains a character that credentials cannot contain, so no request can be signed."""


def check_credentials(*parts: str | None) -> None:
    """Raise MalformedCredentials if one of them cannot be sent."""
    if not all(_CREDENTIAL.fullmatch(part) for part in parts if part):
        raise MalformedCredentials


def refusal(error: "ClientError") -> str:
    """The sentence for a call that AWS refused. It repeats AWS's text unless that is about the
    credentials."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _WRONG_CREDENTIALS:
        return f"AWS does not accept your credentials ({code}): sign in again or set AWS_PROFILE."
    if code in _DENIED:
        return f"AWS denies you {error.operation_name}: {message}"
    return f"AWS refused {error.operation_name} ({code}): {message}"


def failure(error: Exception, environ: Mapping[str, str]) -> str:
    """The sentence for a call that did not reach AWS because of the environment, the configuration
    or the network."""
    return _of_environment(environ) or _of_kind(error)


def _of_environment(environ: Mapping[str, str]) -> str:
    """The sentence about an unusable variable, or an empty text if all are usable."""
    for name in _CREDENTIALS:
        if not _CREDENTIAL.fullmatch(environ.get(name, "")):
            return f"{name} contains a line break or another invalid character: set it again."
    for name, value in environ.items():
        if name.startswith("AWS_ENDPOINT_URL") and value and not _is_address(value):
            return f"{name} is not an address such as http://127.0.0.1:4566: correct or unset it."
    if not environ.get("AWS_MAX_ATTEMPTS", "1").isdecimal():
        return "AWS_MAX_ATTEMPTS is not a whole number: correct or unset it."
    return ""


def _is_address(text: str) -> bool:
    try:
        labels = (urlsplit(text).hostname or "").removesuffix(".").split(".")
    except ValueError:
        return False
    return bool(_ENDPOINT.fullmatch(text)) and all(labels)


def _of_kind(error: Exception) -> str:
    for kinds, sentence in _sentences():
        if isinstance(error, kinds):
            return sentence(error)
    return (
        f"AWS cannot be called ({type(error).__name__}): check the AWS_ variables in your "
        "environment, and ~/.aws/config."
    )


_Sentence = Callable[[Exception], str]


def _sentences() -> list[tuple[tuple[type[Exception], ...], _Sentence]]:
    """By kind of error, the specific before the general."""
    from botocore import exceptions as of_aws

    return [
        ((of_aws.NoCredentialsError, of_aws.PartialCredentialsError), _none),
        ((of_aws.SSOError, of_aws.TokenRetrievalError, of_aws.CredentialRetrievalError), _sign_in),
        ((of_aws.InvalidConfigError,), _profile),
        ((of_aws.ConfigParseError, of_aws.ConfigNotFound), _file),
        ((of_aws.InvalidRegionError,), _region),
        ((of_aws.ProxyConnectionError,), _proxy),
        ((of_aws.SSLError,), _certificate),
        ((of_aws.ConnectionError, of_aws.HTTPClientError), _network),
        ((OSError,), _process),
        ((MalformedCredentials,), _malformed),
        ((ValueError,), _output),
    ]


def _none(_: Exception) -> str:
    return "There are no AWS credentials: run `aws configure`, or set AWS_PROFILE."


def _sign_in(error: Exception) -> str:
    return f"Your AWS credentials cannot be loaded ({type(error).__name__}): sign in again."


def _profile(_: Exception) -> str:
    return "Your AWS profile is incomplete: correct it in ~/.aws/config, or set AWS_PROFILE."


def _file(error: Exception) -> str:
    return f"{_detail(error, 'path')} cannot be read: correct it, or unset AWS_CONFIG_FILE."


def _region(error: Exception) -> str:
    return f"There is no AWS region {_detail(error, 'region_name')!r}: set AWS_DEFAULT_REGION."


def _proxy(_: Exception) -> str:
    return (
        "AWS cannot be reached, because the proxy in HTTPS_PROXY does not answer: correct or "
        "unset it."
    )


def _certificate(error: Exception) -> str:
    return (
        f"AWS cannot be reached, because the certificate of {_host(error)} is not trusted: check "
        "AWS_CA_BUNDLE."
    )


def _network(error: Exception) -> str:
    return (
        f"AWS cannot be reached, because {_host(error)} does not answer: check the network and the "
        "region."
    )


def _process(error: Exception) -> str:
    name = getattr(error, "filename", None)
    return (
        f"Your AWS credentials cannot be loaded, because {name or 'a file'}, which your profile "
        "needs, cannot be used: correct it in ~/.aws/config."
    )


def _malformed(_: Exception) -> str:
    return (
        "Your AWS credentials contain a line break or another invalid character: set them again in "
        "~/.aws/credentials, or in the source that your profile names."
    )


def _output(_: Exception) -> str:
    return (
        "Your AWS credentials cannot be loaded, because your profile's credential_process prints "
        "something that is not in AWS's format: run it yourself to see its output."
    )


def _detail(error: Exception, name: str) -> str:
    details: Mapping[str, object] = getattr(error, "kwargs", {})
    return str(details.get(name, "it"))


def _host(error: Exception) -> str:
    """The host alone: the address may contain a user and a password."""
    try:
        return urlsplit(_detail(error, "endpoint_url")).hostname or "the endpoint"
    except ValueError:
        return "the endpoint"
