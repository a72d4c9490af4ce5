"""Conditions of writes, with each part dropped in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from chalicelib.domain import transitions
from chalicelib.domain.batch import Batch
from chalicelib.domain.message import JobsMessage


def _dropped(field: str, fields_of: str) -> Callable[[], AbstractContextManager[None]]:
    """Drop a part that several conditions share from all of them."""
    fields = getattr(transitions, fields_of)

    @contextmanager
    def fault() -> Iterator[None]:
        def fewer(batch: Any) -> dict[str, Any]:
            return {name: value for name, value in fields(batch).items() if name != field}

        with patch.object(transitions, fields_of, fewer):
            yield

    return fault


@contextmanager
def a_message_of_any_submission() -> Iterator[None]:
    """A message is run although its batch has expired and another one has its id."""
    concerns = JobsMessage.concerns

    def careless(self: JobsMessage, batch: Batch, now: datetime) -> bool:
        return concerns(replace(self, submission=batch.submission), batch, now)

    with patch.object(JobsMessage, "concerns", careless):
        yield


CONDITION_FAULTS: dict[str, Any] = {
    "no_round": _dropped("round", "_same_round"),
    "no_submission": _dropped("submission", "_same_round"),
    "no_lease_in_the_condition": _dropped("lease", "_delivering"),
    "no_callback_round": _dropped("callback_round", "_delivering"),
    "a_message_of_any_submission": a_message_of_any_submission,
}
