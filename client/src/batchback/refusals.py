"""What somebody at a shell can do about what the service refuses."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from batchback.errors import Refused

_NO_BATCH = "there is no batch {id} of your account, or it has expired: `batchback list` shows them"
_NOT_OVER = "`batchback progress {id}` shows how far it is, and --partial the results so far"
#: By error code and specific code.
_REMEDIES = {
    (400, 24114): _NOT_OVER,
    (401, 0): "the key or its secret is wrong, or the secret has ended after a rotation: see --key "
    "and --secret, or BATCHBACK_KEY and BATCHBACK_SECRET",
    (401, 23005): "set the clock of this machine",
    (404, 24105): _NO_BATCH,
    (404, 24115): _NO_BATCH,
    (463, 0): "it cannot be used again: ask for a new key",
    (500, 24091): "run it again",
}
#: By the message, of what is required.
_REQUIRED = {
    "'callbackUrl' is required": "give --callback-url, the address to POST the results to",
    "'jobs' is required": 'write the array of jobs to FILE, or an object with it as "jobs"',
}


@contextmanager
def explained_refusals(given: Mapping[str, Any]) -> Iterator[None]:
    """A block in which a refusal gets the remedy as its last reason. `given` are the arguments of
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
        return f"try again in {refused.retry_after} s"
    if refused.is_outcome_unknown and refused.idempotency_key is not None:
        key = refused.idempotency_key
        return f"run it again with `--idempotency-key {key}`, and the batch runs once"
    by_code = _REMEDIES.get((refused.error_code, refused.specific_code), "")
    return by_code or _REQUIRED.get(refused.message, "")
