"""Who may call: keys with their secrets, and the accounts they belong to.

A secret is never part of a `repr`, so that it cannot reach a log that way.
"""

import re
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.dataclass import dataclass

#: How long a worker may cache keys and accounts. A worker asks once for each message, and the last
#: call of a message starts at most 49 seconds later. So no call that starts more than a minute
#: after a key was revoked is signed with it.
WORKERS_REMEMBER_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One of the secrets of a key or an account; during a rotation there are two."""

    value: str = field(repr=False)
    #: None until it is rotated.
    expires_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key: what a caller signs with, and what its jobs are signed with."""

    key: str
    account: str
    #: Newest first. The newest signs, and every live one verifies.
    secrets: tuple[Secret, ...] = field(repr=False)
    is_revoked: bool = False
    #: None if it is not known.
    created_at: datetime | None = None

    def live_secrets(self, now: datetime) -> list[str]:
        return [secret.value for secret in self.secrets if secret.is_live(now)]

    def may_sign_for(self, account: str) -> bool:
        """Whether jobs of this account's batches may be signed with the key."""
        return self.account == account and not self.is_revoked


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An owner of batches. `callback_secrets` are `whsec_` texts, newest first."""

    account: str
    callback_secrets: tuple[Secret, ...] = field(repr=False)
    #: None if it is not known.
    created_at: datetime | None = None

    def live_callback_secrets(self, now: datetime) -> list[str]:
        return [secret.value for secret in self.callback_secrets if secret.is_live(now)]


#: The name and the value of a header.
Header = tuple[str, str]

#: Headers that are sent with every call anyway, in lower case. If a header is sent twice, a server
#: may use either one, and some of these say where a request ends.
_SENT_ANYWAY = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "user-agent",
    }
)


def parse_header(text: str) -> Header:
    """Parse `Name: value`. The ValueError does not repeat the text, because the value is a secret.
    White space around name and value, such as a line break at the end of a file, is removed.
    https://www.rfc-editor.org/rfc/rfc9110.html#section-5.5"""
    name, _, value = map(str.strip, text.partition(":"))
    if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[ -~]+", value):
        raise ValueError("must be one line, 'Name: value', in printable ASCII")
    if name.lower() in _SENT_ANYWAY:
        raise ValueError(f"must not be {name}: the service sets that header itself")
    return name, value


class PlatformAuth(StrEnum):
    """How a job is authenticated to the platform."""

    IWS = "iws"  #: signed with the caller's own key
    HEADER = "header"  #: a fixed header that the operator sets
    NONE = "none"  #: not at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The authenticated sender of a request."""

    account: str
    key: str
