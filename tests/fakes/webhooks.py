"""A receiver that verifies with the specification's own library, at a time that the test
chooses."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any
from unittest.mock import patch

from standardwebhooks import Webhook, webhooks

from tests.fakes.clock import START


def verify(secret: str, body: bytes, headers: Mapping[str, str], *, now: datetime = START) -> None:
    """Raise `WebhookVerificationError` unless the receiver accepts the callback."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return now.astimezone(tz)

    with patch.object(webhooks, "datetime", Stopped):
        Webhook(secret).verify(body, {**headers}, json_parse=False)
