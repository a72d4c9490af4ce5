"""Sample answers of the service."""

from tests.client.scripted_service import BATCH, JOB

RESULTS = {"asyncId": BATCH, "results": [{**JOB, "response": {"é": 1.0}}]}


def running(percentage: int, *, status: str = "running", failed: int = 0) -> dict[str, object]:
    """The progress of a batch of 200 jobs."""
    answered = percentage * 2
    jobs = {
        "total": 200,
        "succeeded": answered - failed,
        "failed": failed,
        "waiting": 200 - answered,
    }
    return {"progress": percentage, "status": status, "jobs": jobs}


COMPLETED = running(100, status="completed", failed=3)
