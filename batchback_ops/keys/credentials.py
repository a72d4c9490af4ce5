"""Keys, accounts and secrets: their format, how they are created, and how one secret replaces
another. Knows neither the table nor the command line.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.account import Secret

#: Returns that many random bytes, fit for secrets.
RandomBytes = Callable[[int], bytes]

#: 256 bits. Standard Webhooks requires 24 to 64 bytes:
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
_SECRET_BYTES = 32
_KEY_BYTES = 10

#: Also valid as a MessageGroupId of SQS, and unchanged in any file name, URL or shell.
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: HTTP Basic splits key and secret at the first colon, and IWS headers cannot contain spaces.
_KEY = re.compile(r"[!-9;-~]{1,256}")
#: The most characters of an imported secret. DynamoDB and HTTP would allow more.
_LONGEST_SECRET = 1_024
#: 64 bits if they are hexadecimal digits: a shorter secret can be guessed.
_SHORT_SECRET = 16


def new_key(random_bytes: RandomBytes) -> str:
    return f"bb-{random_bytes(_KEY_BYTES).hex()}"


def new_secret(random_bytes: RandomBytes) -> str:
    """A secret in hexadecimal digits, which no shell, header or form changes."""
    return random_bytes(_SECRET_BYTES).hex()


def new_callback_secret(random_bytes: RandomBytes) -> str:
    return "whsec_" + base64.b64encode(random_bytes(_SECRET_BYTES)).decode()


def why_not_account(name: str) -> str | None:
    """What is wrong with an account's name, or None if it is valid."""
    if _ACCOUNT.fullmatch(name):
        return None
    return "an account's name is 1 to 64 ASCII letters, digits, '.', '_' and '-'"


def why_not_key(key: str) -> str | None:
    """What is wrong with a key, or None if it is valid."""
    if _KEY.fullmatch(key):
        return None
    return "a key is 1 to 256 printable ASCII characters without ':' and spaces"


def why_not_secret(secret: str) -> str | None:
    """What is wrong with an imported secret, or None if it is valid. The text does not reveal the
    secret."""
    if not secret:
        return "is empty"
    if len(secret) > _LONGEST_SECRET:
        return f"is longer than {_LONGEST_SECRET:,} characters"
    if not secret.isprintable():
        return "contains an invisible character, such as a tab or a line break"
    if not secret.isascii():
        return "contains a character that is not ASCII, which programs encode differently"
    if secret != secret.strip():
        return "begins or ends with a space"
    return None


def is_short(secret: str) -> bool:
    """Whether it could be guessed. It is still accepted, because only its issuer can replace it."""
    return len(secret) < _SHORT_SECRET


class StillRotating(Exception):
    """There are two live secrets already, which is the most."""

    def __init__(self, ends_at: datetime) -> None:
        super().__init__("still rotating")
        self.ends_at = ends_at


def rotated(
    secrets: Sequence[Secret], new: str, now: datetime, old_valid: timedelta
) -> tuple[Secret, ...]:
    """The new secret, then the one it replaces, which stays valid for `old_valid`. If that is zero,
    only the new one. StillRotating if there would be more than two. Rotating to the newest secret
    again changes nothing."""
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
    """When the last of the older live secrets ends, or None if there is none."""
    return max(
        (secret.expires_at for secret in secrets if secret.expires_at and secret.is_live(now)),
        default=None,
    )
