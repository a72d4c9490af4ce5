"""The client against a real HTTP server that checks every signature."""

import copy
import gc
import inspect
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import pytest
import requests
from batchback import (
    CallFailed,
    Client,
    Job,
    Progress,
    Refused,
    RunOptions,
    StillRunning,
    Unreachable,
    Unsupported,
)

from batchback_ops.keys import credentials
from chalicelib.domain import trace
from tests.client.samples import COMPLETED, running
from tests.client.scripted_service import (
    BATCH,
    JOB,
    KEY,
    SECRET,
    ScriptedService,
    nobodys_address,
)
from tests.client.user import Time
from tests.fakes.clock import FakeClock


@pytest.fixture
def client(service: ScriptedService) -> Iterator[Client]:
    with Client(service.address, KEY, SECRET, now=FakeClock().now) as client:
        yield client


class TestCalls:
    def test_every_call_is_signed_and_answered(
        self, service: ScriptedService, client: Client
    ) -> None:
        """Each method is one POST whose signature verifies, and returns the service's JSON."""
        service.answers({"ack": "2026-11-23 14:49:07 UTC"}, {"restarted": True})
        assert client.ping() == {"ack": "2026-11-23 14:49:07 UTC"}
        assert client.restart(BATCH) == {"restarted": True}
        assert [asked.is_signed for asked in service.asked] == [True, True]

    def test_run_sends_jobs_and_callback_url(
        self, service: ScriptedService, client: Client
    ) -> None:
        """run sends only what it was given."""
        service.answers({"asyncId": BATCH}, {"asyncId": BATCH})
        jobs: list[Job] = [JOB, {"namespace": "a", "action": "b"}]
        assert client.run(iter(jobs), "http://example.com/") == {"asyncId": BATCH}
        client.run([])
        first, second = service.asked
        assert first.target == "/api/1.0/batch?action=run"
        assert first.json == {"jobs": jobs, "callbackUrl": "http://example.com/"}
        assert second.json == {"jobs": []}

    def test_run_sends_the_idempotency_key(self, service: ScriptedService, client: Client) -> None:
        """The key goes into the Idempotency-Key header."""
        service.answers({"asyncId": BATCH})
        client.run([], idempotency_key="order-66")
        assert service.asked[0].headers["idempotency-key"] == "order-66"

    @pytest.mark.parametrize(
        ("method", "answer"),
        [
            ("progress", {"progress": 33}),
            ("restart", {"restarted": True}),
            ("repost", {"reposted": True}),
            ("cancel", {"cancelled": True}),
            ("results", {"asyncId": BATCH, "results": []}),
        ],
    )
    def test_a_batch_is_named_as_documented(
        self, service: ScriptedService, client: Client, method: str, answer: dict[str, object]
    ) -> None:
        """Every call about a batch sends `{"async": id}`."""
        service.answers(answer)
        assert getattr(client, method)(BATCH) == answer
        assert service.asked[0].target == f"/api/1.0/batch?action={method}"
        assert service.asked[0].json == {"async": BATCH}

    def test_results_and_list_can_be_paged(self, service: ScriptedService, client: Client) -> None:
        """start and perPage are sent if they are given, even a start of 0."""
        service.answers({"results": []}, {"results": []}, {"results": []})
        client.results(BATCH, 0, 10, partial=True)
        client.list(start=20, per_page=5)
        client.list()
        assert [asked.json for asked in service.asked] == [
            {"async": BATCH, "start": 0, "perPage": 10, "partial": True},
            {"start": 20, "perPage": 5},
            {},
        ]

    def test_strings_and_numbers_arrive_unchanged(
        self, service: ScriptedService, client: Client
    ) -> None:
        """Accents, surrogates, long integers and 1.0 survive in both directions."""
        params = {"name": "é€😀", "lone": "\ud83d", "long": 10**400, "one": 1.0}
        service.answers({"asyncId": BATCH, "results": [], "echo": params})
        answer = client.call("batch", "results", params)
        assert service.asked[0].json == answer["echo"] == params
        assert b"1.0" in service.asked[0].body

    def test_numbers_can_keep_all_their_digits(self, service: ScriptedService) -> None:
        """They do with parse_float, as in json.loads."""
        service.answers_bytes(b'{"ack": 12345678901234567890.10}')
        now = FakeClock().now
        with Client(service.address, KEY, SECRET, parse_float=Decimal, now=now) as client:
            assert str(client.ping()["ack"]) == "12345678901234567890.10"


class TestAddress:
    @pytest.mark.parametrize("suffix", ["", "/", "/api/1.0", "/api/1.0/"])
    def test_the_address_may_include_the_api_path(
        self, service: ScriptedService, suffix: str
    ) -> None:
        """It works with and without /api/1.0."""
        service.answers({"ack": "now"})
        with Client(service.address + suffix, KEY, SECRET, now=FakeClock().now) as client:
            client.ping()
        assert service.asked[0].path == "/api/1.0/test?action=ping"

    def test_a_stage_is_called_and_not_signed(self, service: ScriptedService) -> None:
        """What precedes /api/1.0, such as API Gateway's stage, even one named api, is only in the
        URL. The service does not have to know it."""
        service.answers({"ack": "now"})
        with Client(service.address + "/api", KEY, SECRET, now=FakeClock().now) as client:
            client.ping()
        assert service.asked[0].path == "/api/api/1.0/test?action=ping"
        assert service.asked[0].is_signed

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "batch.example.com",
            "ftp://batch.example.com",
            "http://",
            "http://host:99999",
            "https://user:password@batch.example.com",
            "https://batch.example.com/?a=b",
            "https://batch.example.com/#top",
        ],
    )
    def test_an_invalid_address_raises_immediately(self, address: str) -> None:
        """It is a ValueError, before anything is sent."""
        with pytest.raises(ValueError, match=r"address|Port"):
            Client(address, KEY, SECRET)

    @pytest.mark.parametrize("key", ["", "a:b", "a b", "clé", "a\nb", "k" * 257])
    def test_an_invalid_key_raises_immediately(self, key: str) -> None:
        """A key that does not fit into the header is a ValueError."""
        with pytest.raises(ValueError, match="key"):
            Client("https://batch.example.com", key, SECRET)

    def test_it_accepts_exactly_the_keys_that_operators_can_create(self) -> None:
        """The client cannot import the service's pattern, so it has a copy."""
        keys = ["", "k" * 256, "k" * 257, *map(chr, range(0x200)), "\ud83d", "😀"]
        made = [key for key in keys if credentials.why_not_key(key) is None]
        assert [key for key in keys if _takes(key)] == made

    @pytest.mark.parametrize("idempotency_key", ["", "a b", "é", "a\r\nb", "k" * 256])
    def test_an_invalid_idempotency_key_is_never_sent(
        self, service: ScriptedService, client: Client, idempotency_key: str
    ) -> None:
        """It is a ValueError, and the service receives nothing."""
        with pytest.raises(ValueError, match="idempotency key"):
            client.run([], idempotency_key=idempotency_key)
        assert service.asked == []


def _takes(key: str) -> bool:
    try:
        Client("https://batch.example.com", key, SECRET).close()
    except ValueError:
        return False
    return True


class TestRefused:
    def test_carries_the_codes_and_the_reasons(
        self, service: ScriptedService, client: Client
    ) -> None:
        """Refused has all fields of the service's error, and one line of text."""
        service.refuses(400, 24092, "Incorrect job format", "jobs[3].action: missing", "jobs[4]: ?")
        with pytest.raises(Refused) as caught:
            client.run([])
        refused = caught.value
        assert (refused.error_code, refused.specific_code) == (400, 24092)
        assert refused.message == "Incorrect job format"
        assert refused.reasons == ("jobs[3].action: missing", "jobs[4]: ?")
        assert str(refused) == (
            "(400/24092): Incorrect job format: jobs[3].action: missing; jobs[4]: ?"
        )
        assert not refused.is_not_completed

    def test_knows_that_a_batch_is_not_completed(
        self, service: ScriptedService, client: Client
    ) -> None:
        """The code is 24114."""
        service.refuses(400, 24114, "Batch job not completed")
        with pytest.raises(Refused) as caught:
            client.results(BATCH)
        assert caught.value.is_not_completed

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ({"Retry-After": "17"}, 17),
            ({"Retry-After": " 0 "}, 0),
            ({"Retry-After": "Mon, 23 Nov 2026 14:50:07 GMT"}, 60),
            ({"Retry-After": "Mon, 23 Nov 2026 14:00:00 GMT"}, 0),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": "-1"}, None),
            ({"Retry-After": "1.5"}, None),
            ({"Retry-After": "Mon, 23 Nov 2026 14:50:07"}, None),
            ({}, None),
        ],
    )
    def test_says_when_to_retry(
        self,
        service: ScriptedService,
        client: Client,
        header: dict[str, str],
        seconds: int | None,
    ) -> None:
        """The seconds come from the service's Retry-After."""
        body = b'{"errorCode": 429, "message": "Too many requests", "specificCode": 0}'
        service.answers_bytes(body, status=429, **header)
        with pytest.raises(Refused) as caught:
            client.run([])
        assert caught.value.retry_after == seconds
        assert caught.value.may_pass

    def test_can_be_copied(self) -> None:
        """A worker process can send it to its parent."""
        refused = Refused(429, 0, "Too many requests", ["jobs"], 17)
        again = copy.copy(refused)
        assert (vars(again), str(again)) == (vars(refused), str(refused))

    def test_an_error_with_status_200_is_an_error(
        self, service: ScriptedService, client: Client
    ) -> None:
        """errorCode decides, as in the published clients."""
        service.answers({"errorCode": 401, "message": "Unauthorized"})
        with pytest.raises(Refused) as caught:
            client.ping()
        assert (caught.value.error_code, caught.value.specific_code) == (401, 0)

    def test_a_wrong_secret_is_refused(self, service: ScriptedService) -> None:
        """The signature does not verify, so the service answers 401."""
        with (
            Client(service.address, KEY, "other", now=FakeClock().now) as client,
            pytest.raises(Refused, match="401/0"),
        ):
            client.ping()

    def test_malformed_fields_are_ignored(self, service: ScriptedService, client: Client) -> None:
        """An error that has only a code still has a text."""
        service.answers({"errorCode": 500, "specificCode": None, "additionalMessages": "x"})
        with pytest.raises(Refused) as caught:
            client.ping()
        assert str(caught.value) == "(500/0): no message"


class TestUnreachable:
    def test_nobody_listens(self) -> None:
        """The reason has the address and the message of the operating system."""
        address = nobodys_address()
        with (
            Client(address, KEY, SECRET) as client,
            pytest.raises(Unreachable) as caught,
        ):
            client.ping()
        assert caught.value.reason == f"{address}: Connection refused"
        assert isinstance(caught.value, CallFailed)
        assert type(caught.value) is Unreachable, "a traceback names what a program can import"

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_a_gateway_that_speaks_the_contract_is_not_the_service(
        self, service: ScriptedService, client: Client, status: int
    ) -> None:
        """API Gateway's own errors have the contract's shape, but do not say what was done."""
        service.refuses(status, 0, "No answer within 29 seconds")
        with pytest.raises(Unreachable, match=f"{status} .*: No answer within 29 seconds"):
            client.run([])

    def test_the_reason_is_the_failure_of_the_call(self) -> None:
        """An exception that the program was already handling is not taken for the cause."""
        with Client(nobodys_address(), KEY, SECRET) as client:
            try:
                int("something else")
            except ValueError:
                with pytest.raises(Unreachable, match="Connection refused"):
                    client.ping()

    @pytest.mark.parametrize(
        ("raised", "said"),
        [
            (requests.ConnectTimeout(), "no connection in 10 s"),
            (requests.ReadTimeout(), "no answer in 35 s"),
            (requests.exceptions.ProxyError("refused"), "through the proxy: refused"),
            (requests.exceptions.ChunkedEncodingError(), "ChunkedEncodingError"),
        ],
    )
    def test_network_errors_have_a_short_reason(
        self, raised: requests.RequestException, said: str
    ) -> None:
        """Each failure of the transport is an Unreachable."""

        class Failing(requests.Session):
            def post(self, *_: object, **__: object) -> NoReturn:
                raise raised

        client = Client("https://batch.example.com", KEY, SECRET, session=Failing())
        with pytest.raises(Unreachable) as caught:
            client.ping()
        assert caught.value.reason == f"https://batch.example.com: {said}"

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (502, b"<html>Bad", "answered 502 Bad Gateway: not an answer from the service"),
            (200, b"<html>Hi", "answered 200 OK: not an answer from the service"),
            (200, b"[]", "answered 200 OK: not an answer from the service"),
            (200, b"{}", "answered 200 without 'ack', so it is a different service"),
            (200, b"[" * 100_000, "answered 200 OK: not an answer from the service"),
            (201, b'{"ack": "x"}', "answered 201 Created: not an answer from the service"),
            (403, b'{"message": "Forbidden"}', "answered 403 Forbidden: Forbidden"),
            (429, b'{"message": "Limit"}', "answered 429 Too Many Requests: Limit"),
        ],
    )
    def test_an_answer_from_something_else(
        self, service: ScriptedService, client: Client, status: int, body: bytes, said: str
    ) -> None:
        """An answer that does not follow the contract comes from a gateway or another site."""
        gc.collect()  # garbage of other tests could not be finalized deep in the recursion
        service.answers_bytes(body, status=status)
        with pytest.raises(Unreachable) as caught:
            client.ping()
        assert caught.value.reason == f"{service.address}: {said}"

    def test_redirects_are_not_followed(self, service: ScriptedService, client: Client) -> None:
        """A signed request goes only to the address."""
        service.answers_bytes(b"", status=307, Location=f"{service.address}/api/1.0/elsewhere")
        with pytest.raises(Unreachable, match="307"):
            client.ping()
        assert len(service.asked) == 1


READS = [
    lambda client: client.ping(),
    lambda client: client.progress(BATCH),
    lambda client: client.results(BATCH),
    lambda client: client.list(),
]
RUNS = [
    lambda client: client.run([]),
    lambda client: client.run([], idempotency_key="k"),
    lambda client: client.call("batch", "run", {}, idempotency_key="k"),
]
WRITES = [
    lambda client: client.call("batch", "run", {}),
    lambda client: client.restart(BATCH),
    lambda client: client.repost(BATCH),
    lambda client: client.cancel(BATCH),
]
ANSWER = {"ack": "now", "progress": 1, "results": [], "asyncId": BATCH}


class Dying(requests.Session):
    """A session whose first connections end without an answer."""

    def __init__(self, times: int, error: type[requests.RequestException]) -> None:
        super().__init__()
        self.times_left = times
        self.error = error
        self.sent: list[dict[str, Any]] = []

    @property
    def calls(self) -> int:
        return len(self.sent)

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent.append(kwargs)
        if self.times_left:
            self.times_left -= 1
            raise self.error("the connection has ended")
        return super().post(*args, **kwargs)


class TestDeadConnections:
    @pytest.mark.parametrize("read", READS)
    @pytest.mark.parametrize(
        "error", [requests.ConnectionError, requests.exceptions.ChunkedEncodingError]
    )
    def test_a_read_is_retried_once(
        self,
        service: ScriptedService,
        read: Callable[[Client], object],
        error: type[requests.RequestException],
    ) -> None:
        """The service may have received it, but a second read changes nothing."""
        service.answers(ANSWER)
        session = Dying(1, error)
        read(Client(service.address, KEY, SECRET, session=session, now=FakeClock().now))
        assert session.calls == 2

    @pytest.mark.parametrize("read", READS)
    def test_a_read_is_not_retried_twice(self, read: Callable[[Client], object]) -> None:
        session = Dying(2, requests.ConnectionError)
        with pytest.raises(Unreachable, match="the connection has ended"):
            read(Client("http://127.0.0.1:9", KEY, SECRET, session=session))
        assert session.calls == 2

    @pytest.mark.parametrize("run", RUNS)
    def test_a_run_with_a_key_is_retried_once(
        self, service: ScriptedService, run: Callable[[Client], object]
    ) -> None:
        """It sends the same bytes with the same key, so the service runs the batch once."""
        service.answers(ANSWER)
        session = Dying(1, requests.ConnectionError)
        run(Client(service.address, KEY, SECRET, session=session, now=FakeClock().now))
        first, second = session.sent
        assert first == second
        assert first["headers"]["Idempotency-Key"]

    @pytest.mark.parametrize("write", WRITES)
    def test_a_change_is_sent_only_once(self, write: Callable[[Client], object]) -> None:
        session = Dying(1, requests.ConnectionError)
        with pytest.raises(Unreachable):
            write(Client("http://127.0.0.1:9", KEY, SECRET, session=session))
        assert session.calls == 1

    @pytest.mark.parametrize("error", [requests.ConnectTimeout, requests.ReadTimeout])
    def test_a_timeout_is_not_retried(self, error: type[requests.RequestException]) -> None:
        session = Dying(1, error)
        with pytest.raises(Unreachable):
            Client("http://127.0.0.1:9", KEY, SECRET, session=session).ping()
        assert session.calls == 1

    def test_an_idle_connection_is_not_reused(self, service: ScriptedService) -> None:
        """Gateways drop idle connections silently, and requests on them are lost."""
        clock = FakeClock()
        service.answers(*[ANSWER] * 3)
        with Client(service.address, KEY, SECRET, now=clock.now) as client:
            client.ping()
            client.ping()
            clock.advance(seconds=31)
            client.ping()
        first, second, third = (asked.port for asked in service.asked)
        assert first == second != third


class TestSecret:
    @pytest.mark.parametrize(
        "secret",
        ["", "s3cret\r", "s3cret\n", " s3cret", "s3cret ", "s\t3cret", "s3crét", "🔑", "s3cret\0"],
        ids=ascii,
    )
    def test_a_secret_that_libraries_send_differently_is_refused(self, secret: str) -> None:
        """It is refused immediately instead of by a 401 later, and it is not shown."""
        with pytest.raises(ValueError, match="the secret") as caught:
            Client("https://batch.example.com", KEY, secret)
        assert "3cr" not in str(caught.value)

    @pytest.mark.parametrize("secret", ["s", "two words: a%b", credentials.new_secret(bytes)])
    def test_any_other_secret_is_accepted(self, service: ScriptedService, secret: str) -> None:
        Client(service.address, KEY, secret)


class TestEnvironment:
    def test_this_machine_needs_no_proxy(
        self, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy in the environment is not used for 127.0.0.1."""
        monkeypatch.setenv("http_proxy", nobodys_address())
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        service.answers({"ack": "now"})
        with Client(service.address, KEY, SECRET, now=FakeClock().now) as client:
            assert client.ping() == {"ack": "now"}

    def test_other_machines_are_reached_through_the_proxy(
        self, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy in the environment is used, as in every other program."""
        monkeypatch.setenv("http_proxy", service.address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        service.answers({"ack": "now"})
        with Client("http://batch.example.com", KEY, SECRET, now=FakeClock().now) as client:
            client.ping()
        assert service.asked[0].path == "http://batch.example.com/api/1.0/test?action=ping"

    def test_a_netrc_is_ignored(
        self, service: ScriptedService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """No password of another program is sent, even if the session trusts the environment."""
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        service.answers({"ack": "now"})
        with requests.Session() as session:
            client = Client(service.address, KEY, SECRET, session=session, now=FakeClock().now)
            client.ping()
        assert "authorization" not in service.asked[0].headers

    def test_a_session_that_is_passed_in_stays_open(self, service: ScriptedService) -> None:
        """Closing the client does not close what it does not own."""
        closed: list[bool] = []

        class Watched(requests.Session):
            def close(self) -> None:
                closed.append(True)
                super().close()

        with Watched() as session:
            with Client(service.address, KEY, SECRET, session=session):
                pass
            assert closed == []


PONG = {"ack": "now", "version": "0.1.0"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class TestRun:
    def test_every_parameter_is_an_argument(self, service: ScriptedService, client: Client) -> None:
        service.answers(PONG, {"asyncId": BATCH})
        client.run(
            [JOB],
            label="nightly",
            metadata={"a": "1"},
            callback_results="failed",
            callback_headers={"X-A": "b"},
            deadline_minutes=90,
            max_failed=0,
            traceparent=TRACE,
        )
        assert service.asked[1].json == {
            "jobs": [JOB],
            "label": "nightly",
            "metadata": {"a": "1"},
            "callbackResults": "failed",
            "callbackHeaders": {"X-A": "b"},
            "deadlineMinutes": 90,
            "maxFailed": 0,
        }
        assert service.asked[1].headers["traceparent"] == TRACE

    def test_run_options_are_the_arguments_of_run(self) -> None:
        """The type is for code that passes them on."""
        arguments = inspect.signature(Client.run).parameters.values()
        named = {each.name: each for each in arguments if each.kind is each.KEYWORD_ONLY}
        assert get_type_hints(RunOptions) == {
            name: get_type_hints(Client.run)[name] for name in named
        }

    def test_the_version_is_requested_once(self, service: ScriptedService, client: Client) -> None:
        """The client asks only if it uses what an older service would ignore."""
        service.answers({"asyncId": BATCH}, PONG, *[{"asyncId": BATCH}] * 2, {"results": []})
        client.run([])
        client.run([], label="a")
        client.run([], max_failed=1)
        client.results(BATCH, only="failed", detail=True)
        targets = [asked.target.rpartition("=")[2] for asked in service.asked]
        assert targets == ["run", "ping", "run", "run", "results"]

    def test_nothing_is_sent_to_an_older_service(
        self, service: ScriptedService, client: Client
    ) -> None:
        """The client checks again each time, until the service is updated."""
        service.answers({"ack": "now"}, {"ack": "now"}, PONG, {"asyncId": BATCH})
        for _ in range(2):
            with pytest.raises(Unsupported, match="too old for maxFailed") as caught:
                client.run([], max_failed=1)
            assert isinstance(caught.value, CallFailed)
            assert not caught.value.may_pass
        client.run([], max_failed=1)

    def test_a_null_parameter_asks_for_nothing(
        self, service: ScriptedService, client: Client
    ) -> None:
        """To every service, null is the same as a missing parameter."""
        service.answers({"asyncId": BATCH})
        client.submit({"jobs": [{"id": None}], "label": None, "maxFailed": None})
        assert len(service.asked) == 1

    def test_an_invalid_traceparent_is_never_sent(
        self, service: ScriptedService, client: Client
    ) -> None:
        """The service would ignore it."""
        with pytest.raises(ValueError, match="traceparent"):
            client.run([], traceparent=TRACE[:-1])
        assert service.asked == []

    @pytest.mark.parametrize(
        "traceparent",
        [
            TRACE,
            TRACE.upper(),
            f"{TRACE}-more",
            f"01{TRACE[2:]}",
            f"cc{TRACE[2:]}-more",
            f"cc{TRACE[2:]}-more,{TRACE}",
            f"ff{TRACE[2:]}",
            f"00-{'0' * 32}-b7ad6b7169203331-01",
            f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
            f"{TRACE[:-1]}",
            f"{TRACE}\n",
            f"{TRACE}, {TRACE}",
            "",
        ],
    )
    def test_it_accepts_the_traces_that_the_service_accepts(
        self, service: ScriptedService, client: Client, traceparent: str
    ) -> None:
        service.answers(PONG, {"asyncId": BATCH})
        try:
            client.run([], traceparent=traceparent)
        except ValueError:
            assert trace.parse(traceparent) is None
        else:
            assert trace.parse(traceparent)

    @pytest.mark.parametrize("status", [500, 502])
    def test_a_failure_has_the_key_for_a_retry(
        self, service: ScriptedService, client: Client, status: int
    ) -> None:
        """The retry sends the same bytes with the same key."""
        service.refuses(status, 0, "Internal server error")
        service.answers({"asyncId": BATCH})
        with pytest.raises(CallFailed) as caught:
            client.run([JOB])
        assert caught.value.may_pass
        assert client.run([JOB], None, caught.value.idempotency_key) == {"asyncId": BATCH}
        first, second = service.asked
        assert first.body == second.body
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


class TestRerunFailed:
    def test_fractional_numbers_are_sent_again(self, service: ScriptedService) -> None:
        """A Decimal cannot be encoded as JSON."""
        result = b'{"namespace": "a", "action": "b", "request": {"n": 1.5}, "response": 1}'
        service.answers(PONG)
        service.answers_bytes(b'{"asyncId": "a", "results": [' + result + b"]}")
        service.answers({"asyncId": BATCH})
        now = FakeClock().now
        with Client(service.address, KEY, SECRET, parse_float=Decimal, now=now) as client:
            assert client.rerun_failed(BATCH, idempotency_key="k", max_failed=3) == {
                "asyncId": BATCH
            }
        jobs = [{"namespace": "a", "action": "b", "params": {"n": 1.5}}]
        assert service.asked[2].json == {"jobs": jobs, "maxFailed": 3}
        assert service.asked[2].headers["idempotency-key"] == "k"


class TestWait:
    def test_it_waits_until_the_batch_is_over(self, service: ScriptedService) -> None:
        """`on_progress` receives each progress."""
        time = Time()
        seen: list[Progress] = []
        service.answers(running(0), running(50), COMPLETED)
        with _waiting_in(service, time) as client:
            assert client.wait(BATCH, on_progress=seen.append) == COMPLETED
        assert seen == [running(0), running(50), COMPLETED]
        assert time.slept == pytest.approx([0.2, 0.3])

    def test_it_stops_at_the_timeout(self, service: ScriptedService) -> None:
        time = Time()
        service.answers(*[running(0)] * 9)
        with (
            _waiting_in(service, time) as client,
            pytest.raises(
                StillRunning, match=f"batch {BATCH} is not completed after 5 s, and still running"
            ),
        ):
            client.wait(BATCH, 5)
        assert time.seconds == pytest.approx(5)

    def test_some_polls_may_fail(self, service: ScriptedService) -> None:
        """Up to four in a row may fail."""
        for _ in range(2):
            for _ in range(4):
                service.refuses(500, 0, "Internal server error")
            service.answers(running(0))
        for _ in range(5):
            service.answers_bytes(b"<html>", status=502)
        with _waiting_in(service, Time()) as client, pytest.raises(Unreachable):
            client.wait(BATCH)
        assert len(service.asked) == 15


def _waiting_in(service: ScriptedService, time: Time) -> Client:
    return Client(
        service.address,
        KEY,
        SECRET,
        now=FakeClock().now,
        sleep=time.sleep,
        monotonic=time.monotonic,
    )
