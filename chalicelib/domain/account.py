"""Who may call: keys with their secrets, and the accounts they belong to.

A secret is never part of a `repr`, so that it cannot reach a log by way of one.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

#: How old a worker's knowledge of keys and accounts may be. A worker asks once for each message,
#: and the last call of a message starts 49 seconds after that: so a key that was revoked is used
#: for no call that starts more than a minute later.
WORKERS_REMEMBER_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One of the secrets of a key or an account; during a rotation there are two."""

    value: str = field(repr=False)
    #: None: until it is rotated.
    expires_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key: what a caller signs with, and what its jobs are signed with."""

    key: str
    account: str
    #: The newest first; it signs, and every live one verifies.
    secrets: tuple[Secret, ...] = field(repr=False)
    is_revoked: bool = False
    #: None: nobody noted it.
    created_at: datetime | None = None

    def live_secrets(self, now: datetime) -> list[str]:
        return [secret.value for secret in self.secrets if secret.is_live(now)]

    def may_sign_for(self, account: str) -> bool:
        """Whether jobs of the account's batches may be signed with it."""
        return self.account == account and not self.is_revoked


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An owner of batches. `callback_secrets` are `whsec_` texts, the newest first."""

    account: str
    callback_secrets: tuple[Secret, ...] = field(repr=False)
    #: None: nobody noted it.
    created_at: datetime | None = None

    def live_callback_secrets(self, now: datetime) -> list[str]:
        return [secret.value for secret in self.callback_secrets if secret.is_live(now)]


#: The name and the value of a header.
Header = tuple[str, str]

#: What is sent with every call anyway, in lower case. Of two lines of one name a server believes
#: either, and of these some say where a request ends.
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
    """`Name: value`, or ValueError, which does not repeat it: the value is a secret. White space
    around either, such as the end of a file's line, is not part of it.
    https://www.rfc-editor.org/rfc/rfc9110.html#section-5.5"""
    name, _, value = map(str.strip, text.partition(":"))
    if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[ -~]+", value):
        raise ValueError("must be one line, 'Name: value', in printable ASCII")
    if name.lower() in _SENT_ANYWAY:
        raise ValueError(f"must be another header than {name}, which is not for it to say")
    return name, value


class PlatformAuth(StrEnum):
    """How a job proves to the platform whose it is."""

    IWS = "iws"  #: signed with the caller's own key
    HEADER = "header"  #: a fixed header, the operator's
    NONE = "none"  #: not at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who made a request, proved."""

    account: str
    key: str
