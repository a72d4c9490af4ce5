"""One attempt at a completed batch's callback: lease, compose, sign, POST, record."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile

from chalicelib.domain import outcome, results, retry, signing, transitions
from chalicelib.domain.batch import Batch, CallbackAttempt, CallbackResults, SubmissionTerms
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import BatchMessage
from chalicelib.domain.outcome import Delivered, Refused, TryAgain
from chalicelib.domain.transitions import Change
from chalicelib.errors import Unavailable
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.hand_over import Handover
from chalicelib.operations.ports import BatchStore, Clock, Journal, KeyStore, Queue, Receiver

#: How long an attempt may take in all, and what each megabyte of its body adds.
_SECONDS_PER_ATTEMPT = 15
_SECONDS_PER_MEGABYTE = 1
#: Time kept back to record the outcome.
_SECONDS_TO_RECORD = 10
#: Time kept back to send what was read and to record the outcome.
_SECONDS_TO_SEND = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackDelivery:
    """Delivers callbacks. Only the holder of the lease can send and record. Every attempt of one
    completion has the same body bytes, `webhook-id` and `traceparent`."""

    store: BatchStore
    keys: KeyStore
    queue: Queue
    receiver: Receiver
    completion: BatchCompletion
    handover: Handover
    clock: Clock
    journal: Journal
    random_unit: Callable[[], float]
    new_id: Callable[[], str]

    def call_back(self, message: BatchMessage, seconds_left: Callable[[], float]) -> None:
        """Make the attempt that is due, if there is one. After an error of ours the message is
        retried, and finally the batch's due time triggers the attempt."""
        try:
            batch = self.store.find(message.batch_id)
            now = self.clock.now()
            if batch and batch.may_deliver(now) and not batch.is_expired(now):
                self._attempt(batch, seconds_left)
        except Unavailable as error:
            self.handover.batch_after_error(message, error, self.queue.send_callback)

    def _attempt(self, batch: Batch, seconds_left: Callable[[], float]) -> None:
        started_at = self.clock.now()
        if batch.attempts >= retry.CALLBACK_TRIES:
            self._record_outcome(
                batch, Refused(reason="the outcome of the last attempt is unknown")
            )
            return
        terms = self.store.find_terms(batch)
        account = self.keys.find_account(batch.account)
        secrets = account.live_callback_secrets(self.clock.now()) if account else []
        leased = self._lease(batch)
        if leased is None:
            return
        found = self._send(leased, terms, secrets, seconds_left)
        if found is not None:
            took = self.clock.now() - started_at
            self._record_outcome(leased, found, round(took / timedelta(milliseconds=1)))

    def _lease(self, batch: Batch) -> Batch | None:
        """Return the batch with our attempt counted, or None if the attempt is not ours to make."""
        token = self.new_id()
        leased = self.store.change(batch, transitions.take_lease(batch, token, self.clock.now()))
        if leased is None:
            standing = self.store.find(batch.batch_id)
            leased = standing if standing and standing.lease == token else None
        return leased

    def _send(
        self,
        batch: Batch,
        terms: SubmissionTerms | None,
        secrets: list[str],
        seconds_left: Callable[[], float],
    ) -> Delivered | TryAgain | Refused | None:
        """Return what became of the POST, or None if nothing was sent and the attempt is given
        back."""
        if terms is None or terms.callback_url is None or not secrets:
            return Refused(reason="the callback's address or the account's secret is missing")
        if terms.callback_headers is None:
            return Refused(reason="the stored callbackHeaders are damaged: fetch the results")
        try:
            body = self._compose(batch, terms, seconds_left)
        except Unavailable:
            self.store.change(batch, transitions.return_attempt(batch, self.clock.now()))
            return None
        if isinstance(body, TryAgain | Refused):
            return body
        headers = self._headers(batch, secrets, body)
        return self._post(terms.callback_url, headers, terms.callback_headers, body, seconds_left)

    def _compose(
        self, batch: Batch, terms: SubmissionTerms, seconds_left: Callable[[], float]
    ) -> Sequence[bytes] | TryAgain | Refused:
        """Compose the body in memory, because it is signed before it is sent.

        The size of a body with all results is known before they are read. Failed results may lie
        among more results than there is time to read."""
        most = results.MAX_CALLBACK_BYTES
        more = results.summary(batch, terms)
        size = results.whole_size_bytes(batch, more)
        if terms.callback_results is CallbackResults.ALL and size > most:
            return _too_large(f"{size}")
        texts = self._texts(batch, terms.callback_results, seconds_left)
        body = results.in_blocks(results.pieces(batch.batch_id, texts, more), most)
        if seconds_left() < _SECONDS_TO_SEND:
            return TryAgain(reason="the results could not be read in time")
        return _too_large(f"more than {most}") if body is None else body

    def _texts(
        self, batch: Batch, which: CallbackResults, seconds_left: Callable[[], float]
    ) -> Iterator[str]:
        """Read results while there is time."""
        view = results.callback_view(batch, which)
        if view is None:
            return
        chunks = self.store.read_chunks(batch, batch.chunks)
        for chunk in takewhile(lambda _: seconds_left() >= _SECONDS_TO_SEND, chunks):
            for result in results.results_of(chunk, batch.round, view):
                if result.is_shown:
                    yield result.text

    def _post(
        self,
        url: str,
        headers: Mapping[str, str],
        private_headers: Mapping[str, str],
        body: Sequence[bytes],
        seconds_left: Callable[[], float],
    ) -> Delivered | TryAgain | Refused:
        megabytes = sum(map(len, body)) / 1_000_000
        wanted = _SECONDS_PER_ATTEMPT + _SECONDS_PER_MEGABYTE * megabytes
        reply = self.receiver.post(
            url,
            headers=headers,
            private_headers=private_headers,
            body=body,
            timeout_seconds=min(wanted, seconds_left() - _SECONDS_TO_RECORD),
        )
        return outcome.judge_callback(reply, self.clock.now())

    def _headers(
        self, batch: Batch, secrets: list[str], body: Sequence[bytes]
    ) -> Mapping[str, str]:
        signed = signing.webhook_headers(
            message_id=batch.callback_id, body=body, secrets=secrets, now=self.clock.now()
        )
        trace = batch.trace
        traced = {"traceparent": trace.traceparent(batch.callback_id)} if trace else {}
        return {"Content-Type": "application/json", **signed, **traced}

    def _record_outcome(
        self, batch: Batch, found: Delivered | TryAgain | Refused, took_ms: int | None = None
    ) -> None:
        """Record the outcome. `took_ms` is None if the outcome of the attempt is unknown."""
        error = None if isinstance(found, Delivered) else found.reason
        begun = batch.history[-1] if batch.history else CallbackAttempt(at=self.clock.now())
        made = replace(begun, status=found.status, error=error, took_ms=took_ms)
        next_try_at = self._next_try_at(batch, found, self.clock.now())
        recorded = self.store.change(batch, _change(batch, found, made, next_try_at))
        self.journal.write(
            "callback attempted",
            batch_id=batch.batch_id,
            account=batch.account,
            attempt=batch.attempts,
            outcome=outcome.word(found),
            status=found.status,
            error=error,
            state=recorded.callback.value if recorded else "superseded",
            took_ms=took_ms,
        )
        if recorded:
            self.completion.announce(recorded)

    def _next_try_at(
        self, batch: Batch, found: Delivered | TryAgain | Refused, now: datetime
    ) -> datetime | None:
        if not isinstance(found, TryAgain):
            return None
        return transitions.next_try_at(batch, now, found.retry_after, self.random_unit())


def _too_large(size: str) -> Refused:
    return Refused(reason=f"the callback would be {size} bytes: page through the results")


def _change(
    batch: Batch,
    found: Delivered | TryAgain | Refused,
    made: CallbackAttempt,
    next_try_at: datetime | None,
) -> Change:
    if isinstance(found, Delivered):
        return transitions.record_delivery(batch, made)
    if next_try_at is None:
        return transitions.record_refusal(batch, made)
    return transitions.record_failed_attempt(batch, made, next_try_at)
