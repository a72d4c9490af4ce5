"""Batches, jobs and keys for tests."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

from chalicelib.domain.account import Account, Caller, Key, Secret
from chalicelib.domain.batch import (
    Answer,
    Batch,
    CallbackResults,
    Job,
    SubmissionTerms,
    Verdict,
    chunk_size,
)
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.submission import Allowance
from tests.fakes.clock import START

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
DEMO_KEY = Key(key="demo", account="acme", secrets=(Secret(value="demo-secret"),))
DEMO_ACCOUNT = Account(account="acme", callback_secrets=(Secret(value=WEBHOOK_SECRET),))
DEMO_CALLER = Caller(account="acme", key="demo")
#: The terms of a submission that has a callback and nothing else.
PLAIN_TERMS = SubmissionTerms(callback_url="https://example.com/callback", request_hash="0" * 64)
TERMS = SubmissionTerms(
    callback_url="https://example.com/callback",
    request_hash="0" * 64,
    callback_results=CallbackResults.FAILED,
    callback_headers={"Authorization": "Bearer canary"},
    metadata={"order": "77"},
    deadline=timedelta(minutes=90),
)

#: The policy of a stage that allows nearly everything.
ALLOWANCE = Allowance(
    max_jobs=10_000,
    max_deadline=timedelta(hours=12),
    callback_required=False,
    why_not_url=lambda _: [],
    why_no_secrets=lambda _: [],
)


def a_batch(total: int = 3, *, jobs_per_message: int = 50, **fields: Any) -> Batch:
    """A batch that was just submitted."""
    first_check_at = START + timedelta(seconds=60)
    batch = Batch(
        batch_id="0123456789abcdef0123456789abcdef",
        submission="fedcba9876543210fedcba9876543210",
        account="acme",
        key="demo",
        total=total,
        chunk_size=chunk_size(total, jobs_per_message),
        state=BatchState.RUNNING,
        round=1,
        created_at=START,
        round_began_at=START,
        deadline=START + timedelta(hours=12),
        expires_at=START + timedelta(hours=60),
        next_check_at=first_check_at,
        due_at=first_check_at,
        callback=CallbackState.WAITING,
    )
    return replace(batch, **fields)


def without_life(outgoing_id: str) -> str:
    """The part of an Idempotency-Key or a `webhook-id` that can be known from outside."""
    batch_id, _life, number = outgoing_id.split("-")
    return f"{batch_id}-{number}"


def some_jobs(total: int) -> tuple[Job, ...]:
    return tuple(
        Job(index, "event", "inviteContacts", f'{{"n":{index}}}') for index in range(total)
    )


def succeeded(text: str = '{"ok":true}') -> Answer:
    return Answer(Verdict.SUCCEEDED, text)


def unanswered(text: str = '{"errorCode":461,"message":"HTTP 500"}') -> Answer:
    return Answer(Verdict.UNANSWERED, text)
