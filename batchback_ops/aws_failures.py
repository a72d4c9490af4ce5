"""Why AWS was not asked, or did not answer, in one sentence.

What botocore and the libraries below it say is never repeated: it may hold a header with a token,
what a credential process printed, or an address with a password. The sentence is made of the kind
of the failure, and of names alone.
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
    """They hold what no credentials hold: whatever signs with them, or sends them, breaks."""


def check_credentials(*parts: str | None) -> None:
    """MalformedCredentials if one of them can't be sent; wherever they came from."""
    if not all(_CREDENTIAL.fullmatch(part) for part in parts if part):
        raise MalformedCredentials


def refusal(error: "ClientError") -> str:
    """What AWS said no to. Its text is repeated if it is about anything but the credentials."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _WRONG_CREDENTIALS:
        return f"AWS does not accept the credentials ({code}): sign in again, and see AWS_PROFILE."
    if code in _DENIED:
        return f"AWS denies you {error.operation_name}: {message}"
    return f"AWS refused {error.operation_name} ({code}): {message}"


def failure(error: Exception, environ: Mapping[str, str]) -> str:
    """What stood between us and AWS: the environment, the configuration or the network."""
    return _of_environment(environ) or _of_kind(error)


def _of_environment(environ: Mapping[str, str]) -> str:
    """Which variable no library can use; empty if none is wrong."""
    for name in _CREDENTIALS:
        if not _CREDENTIAL.fullmatch(environ.get(name, "")):
            return f"{name} holds a line break, or another character that none has: set it again."
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
        f"AWS cannot be asked ({type(error).__name__}): check the AWS_ variables of your "
        "environment, and ~/.aws/config."
    )


_Sentence = Callable[[Exception], str]


def _sentences() -> list[tuple[tuple[type[Exception], ...], _Sentence]]:
    """By kind, the particular before the general."""
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
    return f"Your AWS credentials cannot be had ({type(error).__name__}): sign in again."


def _profile(_: Exception) -> str:
    return "The AWS profile is not complete: correct it in ~/.aws/config, or set AWS_PROFILE."


def _file(error: Exception) -> str:
    return f"{_detail(error, 'path')} cannot be read: correct it, or unset AWS_CONFIG_FILE."


def _region(error: Exception) -> str:
    return f"There is no AWS region {_detail(error, 'region_name')!r}: set AWS_DEFAULT_REGION."


def _proxy(_: Exception) -> str:
    return (
        "AWS cannot be reached: the proxy of HTTPS_PROXY does not answer, so correct or unset it."
    )


def _certificate(error: Exception) -> str:
    return f"AWS cannot be reached: {_host(error)} is not trusted, so check AWS_CA_BUNDLE."


def _network(error: Exception) -> str:
    return f"AWS cannot be reached: {_host(error)} does not answer, so check network and region."


def _process(error: Exception) -> str:
    name = getattr(error, "filename", None)
    return (
        f"Your AWS credentials cannot be had: {name or 'a file'}, which the profile needs, cannot "
        "be used, so correct it in ~/.aws/config."
    )


def _malformed(_: Exception) -> str:
    return (
        "Your AWS credentials hold a line break, or another character that none has: set them "
        "again in ~/.aws/credentials, or wherever your profile has them from."
    )


def _output(_: Exception) -> str:
    return (
        "Your AWS credentials cannot be had: what the profile's credential_process prints is not "
        "as AWS wants it, so run it yourself to see."
    )


def _detail(error: Exception, name: str) -> str:
    details: Mapping[str, object] = getattr(error, "kwargs", {})
    return str(details.get(name, "it"))


def _host(error: Exception) -> str:
    """Without a user and a password that somebody put into the address."""
    try:
        return urlsplit(_detail(error, "endpoint_url")).hostname or "the endpoint"
    except ValueError:
        return "the endpoint"
