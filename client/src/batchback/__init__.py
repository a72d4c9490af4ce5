"""Send a batch of API calls to a Batchback service, follow it, and fetch its results.

    from batchback import Client

    with Client("https://batch.example.com", key, secret) as client:
        batch = client.run(jobs, "https://example.com/callback")
        client.progress(batch["asyncId"])

`Client` has one method for each action of the API, and a few that combine several calls. A failed
call raises Refused, Unreachable or Unsupported; all three are a CallFailed. The command `batchback`
does the same from a shell.

`verify_callback` is for receivers: it raises NotGenuine unless the service signed the callback.
"""

from batchback.client import Client
from batchback.errors import CallFailed, Refused, StillRunning, Unreachable, Unsupported
from batchback.verification import (
    HeaderUnusable,
    NotGenuine,
    NotRecent,
    SecretUnusable,
    SignatureWrong,
    verify_callback,
)
from batchback.wire import (
    Batches,
    Callback,
    Cancelled,
    Job,
    JobCounts,
    Listed,
    Meta,
    Pong,
    Progress,
    Reposted,
    Restarted,
    Result,
    Results,
    RunOptions,
    Submitted,
)

__all__ = [
    "Batches",
    "CallFailed",
    "Callback",
    "Cancelled",
    "Client",
    "HeaderUnusable",
    "Job",
    "JobCounts",
    "Listed",
    "Meta",
    "NotGenuine",
    "NotRecent",
    "Pong",
    "Progress",
    "Refused",
    "Reposted",
    "Restarted",
    "Result",
    "Results",
    "RunOptions",
    "SecretUnusable",
    "SignatureWrong",
    "StillRunning",
    "Submitted",
    "Unreachable",
    "Unsupported",
    "verify_callback",
]
