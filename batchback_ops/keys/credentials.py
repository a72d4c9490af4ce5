"""Keys, accounts and secrets: what they may look like, how they are made, and how one secret gives
way to the next. Knows neither the table nor the command line.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.account import Secret

#: So many random bytes, fit for secrets.
RandomBytes = Callable[[int], bytes]

#: 256 bits. The specification of callbacks wants 24 to 64 bytes:
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
_SECRET_BYTES = 32
_KEY_BYTES = 10

#: Also a MessageGroupId of SQS, and the same in any file name, URL or shell.
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: HTTP Basic parts key and secret at the first colon, IWS headers have no room for spaces.
_KEY = re.compile(r"[!-9;-~]{1,256}")
#: Of a secret that is brought along. DynamoDB and HTTP would take more.
_LONGEST_SECRET = 1_024
#: 64 bits, if it is all hexadecimal digits: fewer can be found by trying.
_SHORT_SECRET = 16


def new_key(random_bytes: RandomBytes) -> str:
    return f"bb-{random_bytes(_KEY_BYTES).hex()}"


def new_secret(random_bytes: RandomBytes) -> str:
    """In hexadecimal digits, which no shell, header or form changes."""
    return random_bytes(_SECRET_BYTES).hex()


def new_callback_secret(random_bytes: RandomBytes) -> str:
    return "whsec_" + base64.b64encode(random_bytes(_SECRET_BYTES)).decode()


def why_not_account(name: str) -> str | None:
    """What is wrong with an account's name; None: nothing."""
    if _ACCOUNT.fullmatch(name):
        return None
    return "an account's name is 1 to 64 letters, digits, '.', '_' and '-' of ASCII"


def why_not_key(key: str) -> str | None:
    """What is wrong with a key; None: nothing."""
    if _KEY.fullmatch(key):
        return None
    return "a key is 1 to 256 printable characters of ASCII without ':' and spaces"


def why_not_secret(secret: str) -> str | None:
    """What is wrong with a secret that somebody brings along; None: nothing. The text says nothing
    of the secret itself."""
    if not secret:
        return "is empty"
    if len(secret) > _LONGEST_SECRET:
        return f"is longer than {_LONGEST_SECRET:,} characters"
    if not secret.isprintable():
        return "holds a character that cannot be seen, such as a tab or a second line"
    if not secret.isascii():
        return "holds a character that is not ASCII, which programs send in different ways"
    if secret != secret.strip():
        return "begins or ends with a space"
    return None


def is_short(secret: str) -> bool:
    """Whether it could be found by trying. We did not issue it, so others have to replace it."""
    return len(secret) < _SHORT_SECRET


class StillRotating(Exception):
    """There are two live secrets already, and a third would be one too many."""

    def __init__(self, ends_at: datetime) -> None:
        super().__init__("still rotating")
        self.ends_at = ends_at


def rotated(
    secrets: Sequence[Secret], new: str, now: datetime, old_valid: timedelta
) -> tuple[Secret, ...]:
    """The new secret first, the one it takes over from valid for so long; of no length: not any
    more, nor any other. Never more than two: StillRotating. The same again changes nothing."""
    if not old_valid:
        return (Secret(value=new),)
    if secrets[0].value == new:
        return tuple(secrets)
    older = [secret for secret in secrets if secret.is_live(now) and secret.value != new]
    ending = [secret.expires_at for secret in older if secret.expires_at is not None]
    if ending:
        raise StillRotating(max(ending))
    ends_at = now.replace(microsecond=0) + old_valid
    return (Secret(value=new), *[replace(secret, expires_at=ends_at) for secret in older])


def end_of_old(secrets: Sequence[Secret], now: datetime) -> datetime | None:
    """When the last of the older live secrets ends; None: there is none."""
    return max(
        (secret.expires_at for secret in secrets if secret.expires_at and secret.is_live(now)),
        default=None,
    )
