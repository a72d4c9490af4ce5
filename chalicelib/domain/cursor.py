"""Where a page of an account's batches ended, and the text that callers hand back to go on there.

The text holds nothing that its caller does not know, and no secret: who composes one of their own
gets their own batches from another place on. Its check tells a text that was cut, changed or given
to another account from one that was handed out.
"""

import base64
import hashlib
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chalicelib.domain.batch import Listed

_TEXT = re.compile(r"[A-Za-z0-9_-]{52}")
#: When the batch was created, in milliseconds; how many came before; the total; the batch's id.
_LAYOUT = struct.Struct(">QIH16s")
#: With the layout a multiple of three, so that the same bytes have one text only.
_CHECK_BYTES = 9
_NOT_COUNTED = 0xFFFF
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
#: What is beyond these was not handed out, whatever its check says.
_LAST_MOMENT = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST_START = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place among an account's batches: behind one of them, whether that still lives or not."""

    after: Listed
    #: How many batches the pages up to here had.
    start: int
    #: How many there were in all at the first page; None: too many to be counted.
    total: int | None


def compose(cursor: Cursor, account: str) -> str:
    """The text of a cursor."""
    packed = _LAYOUT.pack(
        (cursor.after.created_at - _EPOCH) // _MILLISECOND,
        cursor.start,
        _NOT_COUNTED if cursor.total is None else cursor.total,
        bytes.fromhex(cursor.after.batch_id),
    )
    return base64.urlsafe_b64encode(packed + _check(packed, account)).decode()


def parse(text: str, account: str) -> Cursor | None:
    """The cursor that a text says; None if it is none that was handed out to this account."""
    if not _TEXT.fullmatch(text):
        return None
    decoded = base64.urlsafe_b64decode(text)
    packed, check = decoded[: _LAYOUT.size], decoded[_LAYOUT.size :]
    moment, start, total, batch_id = _LAYOUT.unpack(packed)
    if check != _check(packed, account) or moment > _LAST_MOMENT or start > _LAST_START:
        return None
    return Cursor(
        after=Listed(batch_id=batch_id.hex(), created_at=_EPOCH + moment * _MILLISECOND),
        start=start,
        total=None if total == _NOT_COUNTED else total,
    )


def _check(packed: bytes, account: str) -> bytes:
    return hashlib.sha256(packed + account.encode()).digest()[:_CHECK_BYTES]
