"""The position in the list of an account's batches, and the text that callers send to continue
there.

The text contains no secret and nothing that its caller does not know: a caller who composes one
gets their own batches from another position. The checksum reveals whether a text was cut, changed
or given to another account.
"""

import base64
import hashlib
import re
import struct
from datetime import UTC, datetime

from chalicelib.domain import unix_time
from chalicelib.domain.batch import Listed
from chalicelib.domain.dataclass import dataclass

_TEXT = re.compile(r"[A-Za-z0-9_-]{52}")
#: When the batch was created, in milliseconds; how many came before it; the total; the batch's id.
_LAYOUT = struct.Struct(">QIH16s")
#: Together with the layout a multiple of three, so that the same bytes have only one text.
_CHECK_BYTES = 9
_NOT_COUNTED = 0xFFFF
#: A cursor beyond these was never handed out, even if its checksum is right.
_LAST_MOMENT = unix_time.compose(datetime.max.replace(tzinfo=UTC))
_LAST_START = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A position in an account's batches: after one of them, even if that one has expired."""

    after: Listed
    #: How many batches the pages so far contained.
    start: int
    #: How many batches there were in total at the first page; None if there were too many to count.
    total: int | None


def compose(cursor: Cursor, account: str) -> str:
    """Return the text of a cursor."""
    packed = _LAYOUT.pack(
        unix_time.compose(cursor.after.created_at),
        cursor.start,
        _NOT_COUNTED if cursor.total is None else cursor.total,
        bytes.fromhex(cursor.after.batch_id),
    )
    return base64.urlsafe_b64encode(packed + _check(packed, account)).decode()


def parse(text: str, account: str) -> Cursor | None:
    """Return the cursor of a text, or None if the text was not handed out to this account."""
    if not _TEXT.fullmatch(text):
        return None
    decoded = base64.urlsafe_b64decode(text)
    packed, check = decoded[: _LAYOUT.size], decoded[_LAYOUT.size :]
    moment, start, total, batch_id = _LAYOUT.unpack(packed)
    if check != _check(packed, account) or moment > _LAST_MOMENT or start > _LAST_START:
        return None
    return Cursor(
        after=Listed(batch_id=batch_id.hex(), created_at=unix_time.parse(moment)),
        start=start,
        total=None if total == _NOT_COUNTED else total,
    )


def _check(packed: bytes, account: str) -> bytes:
    return hashlib.sha256(packed + account.encode()).digest()[:_CHECK_BYTES]
