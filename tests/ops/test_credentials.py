"""Every key that operators may choose is one that callers can send."""

import base64

import pytest

from batchback_ops.keys import credentials
from chalicelib.domain import signing

KEYS = [key for key in map(chr, range(0x80)) if credentials.why_not_key(key) is None]


@pytest.mark.parametrize("key", [*KEYS, "k" * 256])
def test_every_key_that_can_be_made_can_be_sent(key: str) -> None:
    basic = base64.b64encode(f"{key}:secret".encode()).decode()
    assert signing.iws_credentials(f"IWS {key}:{'a' * 40}") == (key, "a" * 40)
    assert signing.basic_credentials(f"Basic {basic}") == (key, "secret")
