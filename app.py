"""The entry point: every Lambda function of the service, each in a few lines.

    api             API Gateway        answers callers
    run_jobs        queue `jobs`       runs the jobs of one message
    advance_batch   queue `batches`    checks one batch and does what is due
    call_back       queue `callbacks`  sends one batch's callback
    bury_jobs       queue `jobs-dead`  finds the job that killed the workers of a message
    sweep           every minute       wakes the batches that are due

The work is done in chalicelib; start with its `__init__`, which maps the modules. If a handler
returns, its message is deleted; if it raises, SQS delivers the same message again.
"""

import gc

# The imports make some 70,000 objects and almost no garbage. With Python's threshold of 700 new
# objects, looking for it takes a tenth of a cold start. So this comes before the imports.
gc.set_threshold(10_000)

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chalice.app import (
    BaseLambdaEvent,
    Chalice,
    CloudWatchEvent,
    Request,
    Response,
    SQSEvent,
    SQSRecord,
)

from chalicelib import settings, wiring
from chalicelib.adapters.clock import SystemClock
from chalicelib.adapters.journal import JsonJournal
from chalicelib.adapters.sqs import parse_batch, parse_jobs
from chalicelib.domain.message import JobsMessage, Sentinel
from chalicelib.errors import FunctionFailed, describe

app = Chalice(app_name="batchback", configure_logs=False)
names = settings.names()

#: Checks and burials are short, and many may be due at the same time. The limit leaves capacity for
#: the other functions.
_MOST_CHECKS_AT_ONCE = 20
_ALL_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]


@app.route("/api/1.0/{namespace}", methods=_ALL_METHODS, content_types=[], name="api")
def api(namespace: str) -> Response:
    """Answer one API call; errors have the shape that the contract defines."""
    with _logged("api"):
        from chalicelib.api import internal_error  # the workers start without it

        try:
            answer = wiring.service().api.answer(_http_request(_current_request(), namespace))
        except Exception as error:  # noqa: BLE001 - callers must not see details
            _journal().write_exception("request failed", error)
            answer = internal_error()
        return Response(body=answer.body, status_code=answer.status, headers=dict(answer.headers))


@app.on_sqs_message(
    queue=names.jobs_queue,
    batch_size=1,
    name="run_jobs",
    maximum_concurrency=settings.max_concurrent("WORKERS"),
)
def run_jobs(event: SQSEvent) -> None:
    """Run the jobs of one message."""
    with _logged("run_jobs") as about:
        for record in event:
            message = parse_jobs(record.body)
            about.update(batch_id=message.batch_id, account=message.account)
            if isinstance(message, Sentinel):
                wiring.service().checker.receive(message)
                continue
            wiring.service().runner.run_jobs(
                message,
                receive_count=_receive_count(record),
                seconds_left=_seconds_left(event),
            )


@app.on_sqs_message(
    queue=names.batches_queue,
    batch_size=1,
    name="advance_batch",
    maximum_concurrency=_MOST_CHECKS_AT_ONCE,
)
def advance_batch(event: SQSEvent) -> None:
    """Check one batch and do what is due."""
    with _logged("advance_batch") as about:
        for record in event:
            message = parse_batch(record.body)
            about.update(batch_id=message.batch_id, account=message.account)
            wiring.service().advancer.advance_batch(message, _seconds_left(event))


@app.on_sqs_message(
    queue=names.callbacks_queue,
    batch_size=1,
    name="call_back",
    maximum_concurrency=settings.max_concurrent("CALLBACKS"),
)
def call_back(event: SQSEvent) -> None:
    """Send the callback of one batch, if it is due."""
    with _logged("call_back") as about:
        for record in event:
            message = parse_batch(record.body)
            about.update(batch_id=message.batch_id, account=message.account)
            wiring.service().delivery.call_back(message, _seconds_left(event))


@app.on_sqs_message(
    queue=names.jobs_dead_queue,
    batch_size=1,
    name="bury_jobs",
    maximum_concurrency=_MOST_CHECKS_AT_ONCE,
)
def bury_jobs(event: SQSEvent) -> None:
    """End the jobs of a message from the dead-letter queue, so that their batch can complete."""
    with _logged("bury_jobs") as about:
        for record in event:
            message = parse_jobs(record.body)
            about.update(batch_id=message.batch_id, account=message.account)
            if isinstance(message, JobsMessage):
                wiring.service().burier.bury_jobs(message)


@app.schedule("rate(1 minute)", name="sweep")
def sweep(event: CloudWatchEvent) -> None:
    """Wake the batches that are due."""
    with _logged("sweep"):
        wiring.service().sweeper.sweep(_seconds_left(event))


@contextmanager
def _logged(function: str) -> Iterator[dict[str, str]]:
    """Log any error as one line and raise a `FunctionFailed` that carries no values.

    The line includes the fields that the block puts into the yielded dictionary. Lambda logs
    whatever a function raises, so the original error must not leave this block. Libraries log
    values too: urllib3 logs whole URLs, botocore whole requests, and Chalice the texts of
    exceptions. Their logging is therefore disabled, whatever level the function is set to; anything
    that goes wrong in them also raises an exception."""
    logging.disable()
    about: dict[str, str] = {}
    try:
        yield about
    except Exception as error:  # noqa: BLE001 - any error becomes ours
        _journal().write_exception("function failed", error, function=function, **about)
        raise FunctionFailed(describe(error)) from None


def _journal() -> JsonJournal:
    """Return a journal that needs no settings: reading them may be what failed."""
    return JsonJournal(SystemClock(), names.stage)


def _receive_count(record: SQSRecord) -> int:
    return int(record.to_dict()["attributes"]["ApproximateReceiveCount"])


def _seconds_left(event: BaseLambdaEvent) -> Callable[[], float]:
    context: Any = event.context
    return lambda: context.get_remaining_time_in_millis() / 1000


def _current_request() -> Request:
    request = app.current_request
    if request is None:
        raise RuntimeError("API Gateway sent an event that is not a request")
    return request


def _http_request(request: Request, namespace: str) -> Any:
    """Translate API Gateway's event into the API's own request."""
    from chalicelib.api import HttpRequest

    event = request.to_original_event()
    return HttpRequest(
        method=request.method,
        namespace=namespace,
        query=event.get("multiValueQueryStringParameters") or {},
        headers={name.lower(): value for name, value in request.headers.items()},
        body=_body(request),
        paths=_paths(event["requestContext"], namespace),
    )


def _body(request: Request) -> bytes:
    """Return the bytes of the body. A lone surrogate, which is not valid UTF-8, is kept for the
    parser to refuse."""
    try:
        body = request.raw_body
    except UnicodeEncodeError:
        body = request.to_original_event()["body"]
    return body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")


def _paths(context: dict[str, Any], namespace: str) -> set[str]:
    """Return the path in every form the caller may have sent: with or without the stage or the base
    path of a custom domain."""
    path = f"/api/1.0/{namespace}"
    return {path, context.get("path") or path, f"/{context.get('stage') or 'api'}{path}"}
