"""Tell the user of the command line how to fix what the service refuses."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from batchback.errors import Refused

_NO_BATCH = "your account has no batch {id}, or it has expired: run `batchback list` to see yours"
_NOT_OVER = "run `batchback wait {id}`, or `batchback results {id} --partial` for those so far"
#: By error code and specific code.
_REMEDIES = {
    (400, 24114): _NOT_OVER,
    (400, 24448): "submit several batches",
    (401, 0): "the key or its secret is wrong, or the secret has expired after a rotation: check "
    "--key and --secret, or BATCHBACK_KEY and BATCHBACK_SECRET",
    (401, 23005): "correct the clock of this machine",
    (404, 24105): _NO_BATCH,
    (404, 24115): _NO_BATCH,
    (463, 0): "ask the operator of the service for a new key",
    (500, 24091): "retry",
}
#: By the message that says what is required.
_REQUIRED = {
    "'callbackUrl' is required": "add --callback-url, the address to POST the results to",
    "'jobs' is required": 'put the array of jobs in FILE, or an object that has it as "jobs"',
}


@contextmanager
def explained_refusals(given: Mapping[str, Any]) -> Iterator[None]:
    """Add the remedy to a refusal in this block, as its last reason. `given` are the arguments of
    the command."""
    try:
        yield
    except Refused as refused:
        remedy = _remedy(refused).format(id=given.get("id", "ID"))
        if not remedy:
            raise
        raise refused.because(remedy) from refused


def _remedy(refused: Refused) -> str:
    if refused.retry_after is not None:
        return f"retry in {refused.retry_after} s"
    if refused.is_outcome_unknown and refused.idempotency_key is not None:
        key = refused.idempotency_key
        return f"retry with `--idempotency-key {key}` so that the batch runs only once"
    by_code = _REMEDIES.get((refused.error_code, refused.specific_code), "")
    return by_code or _REQUIRED.get(refused.message, "")
