"""docs/openapi.yaml is valid and describes exactly what the code does. `Front.send` checks every
answer against it."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice.test import Client
from openapi_spec_validator import validate

from chalicelib import api, errors, settings
from chalicelib.domain import (
    address,
    callback_headers,
    own_words,
    run_request,
    signing,
    strict_json,
)
from chalicelib.domain.batch import CallbackResults
from chalicelib.domain.outcome import Reply
from chalicelib.domain.signing import SignedRequest
from chalicelib.errors import CallerError, KeyRevoked, NotSaved, ServiceError
from chalicelib.version import VERSION
from tests.app.conftest import Answer, Front, basic, serve
from tests.description import OF_EVERY_CALL, PREFIX, description, strictly
from tests.samples import ALLOWANCE

ROOT = Path(__file__).parents[2]
ASYNC_ID = "e35e06ee592d17a42dc9e6252a058617"
DOCUMENT = description().document
SCHEMAS = DOCUMENT["components"]["schemas"]
RESPONSES = DOCUMENT["components"]["responses"]
OPERATIONS = {path.removeprefix(PREFIX): item["post"] for path, item in DOCUMENT["paths"].items()}


def test_the_description_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_the_description_is_also_json() -> None:
    json.dumps(DOCUMENT)


@pytest.mark.parametrize("name", ["pyproject.toml", "client/pyproject.toml"])
def test_the_version_is_the_same_everywhere(name: str) -> None:
    project = tomllib.loads((ROOT / name).read_text("utf-8"))["project"]
    assert project["version"] == VERSION == DOCUMENT["info"]["version"], (
        f"chalicelib/version.py, docs/openapi.yaml and {name} must have the same version"
    )


class TestActions:
    def test_exactly_the_existing_actions_are_described(self, front: Front) -> None:
        described: dict[str, set[str]] = {namespace: set() for namespace in OPERATIONS}
        for action in description().actions.values():
            described[action.namespace].add(action.name)
        actions = {name: {*found} for name, found in front.service.api._namespaces.items()}
        assert described == actions, (
            "x-actions in docs/openapi.yaml must be the actions of _namespaces in chalicelib/api.py"
        )

    @pytest.mark.parametrize("namespace", OPERATIONS)
    def test_the_operation_lists_its_actions_with_requests_and_answers(
        self, namespace: str
    ) -> None:
        operation = OPERATIONS[namespace]
        [parameter] = [each for each in operation["parameters"] if each.get("name") == "action"]
        actions = [each for each in description().actions.values() if each.namespace == namespace]
        must = f"of {namespace} in docs/openapi.yaml must have all x-actions, in the same order"
        assert parameter["schema"]["enum"] == [action.name for action in actions], (
            f"the enum of the parameter `action` {must}"
        )
        assert _alternatives(operation["requestBody"]) == [action.request for action in actions], (
            f"the schemas of the request {must}"
        )
        assert _alternatives(operation["responses"]["200"]) == [
            action.answer for action in actions
        ], f"the schemas of the answer {must}"

    @pytest.mark.parametrize("namespace", OPERATIONS)
    def test_the_description_says_what_each_action_does(self, namespace: str) -> None:
        """Each has a row of a table, or a sentence if it is the only one."""
        text = OPERATIONS[namespace]["description"]
        named = re.findall(r"^(?:\| )?`(\w+)`(?: \||:)", text, re.MULTILINE)
        actions = description().actions.values()
        known = {action.name for action in actions if action.namespace == namespace}
        missing, unknown = known - {*named}, {*named} - known - {"action"}
        where = f"the description of {namespace} in docs/openapi.yaml"
        assert missing == set(), f"{where} has no row for these"
        assert unknown == set(), f"{where} has rows for these, which are not actions"

    def test_requests_and_answers_are_named_after_their_actions(self) -> None:
        for action in description().actions.values():
            for kind, schema in [("Request", action.request), ("Answer", action.answer)]:
                assert schema == {"$ref": f"#/components/schemas/{action.name.title()}{kind}"}


def _alternatives(described: dict[str, Any]) -> list[Any]:
    schema = described["content"]["application/json"]["schema"]
    return list(schema.get("anyOf", [schema]))


class TestErrors:
    def test_exactly_the_existing_errors_are_described(self) -> None:
        known = {codes for kind in _subclasses(CallerError) for codes in [_codes_of(kind)]}
        known |= {codes for kind in _subclasses(ServiceError) for codes in [_codes_of(kind)]}
        assert set(_described_codes()) == known

    def test_each_action_has_only_codes_that_its_responses_describe(self) -> None:
        for namespace, operation in OPERATIONS.items():
            of_actions = {
                codes
                for action in description().actions.values()
                if action.namespace == namespace
                for codes in action.errors
            }
            for status, code in of_actions | OF_EVERY_CALL:
                response = description().resolve(operation["responses"][str(status)])
                assert code in _specific_codes(response), (namespace, status, code)

    def test_together_the_actions_have_every_code(self) -> None:
        given = {codes for action in description().actions.values() for codes in action.errors}
        given |= OF_EVERY_CALL
        never_alone = {(400, 0), (405, 0)}  # the root of the tree, and an error that no POST gets
        assert given == set(_described_codes()) - never_alone

    def test_the_schema_of_errors_lists_what_the_responses_do(self) -> None:
        listed = SCHEMAS["Error"]["properties"]
        assert listed["errorCode"]["enum"] == sorted({status for status, _ in _described_codes()})
        assert listed["specificCode"]["enum"] == sorted({code for _, code in _described_codes()})

    def test_operations_have_the_same_statuses_except_conflicts(self) -> None:
        batch, test = (set(OPERATIONS[name]["responses"]) for name in ("batch", "test"))
        assert batch - test == {"409"}
        assert test <= batch


def _subclasses(root: type[Any]) -> Iterator[type[Any]]:
    yield root
    for kind in root.__subclasses__():
        yield from _subclasses(kind)


def _codes_of(kind: type[Any]) -> tuple[int, int]:
    assert kind.__module__ == errors.__name__
    return getattr(kind, "error_code", 500), kind.specific_code


#: The errors of the service; the other one comes only from API Gateway.
OURS = {name: response for name, response in RESPONSES.items() if name != "ByApiGateway"}


def _described_codes() -> Iterator[tuple[int, int]]:
    for response in OURS.values():
        for status in _constraints(response, "errorCode"):
            yield from ((status, code) for code in _constraints(response, "specificCode"))


def _specific_codes(response: Any) -> list[int]:
    return _constraints(response, "specificCode")


def _constraints(response: Any, name: str) -> list[int]:
    """Return the values that a response allows for a key of its error."""
    schema = response["content"]["application/json"]["schema"]
    [narrowed] = [
        part["properties"][name]
        for alternative in schema.get("anyOf", [schema])
        for part in alternative.get("allOf", [])
        if "properties" in part
    ] or [{"enum": []}]
    found: list[int] = narrowed["enum"] if "enum" in narrowed else [narrowed["const"]]
    return found


class TestHeaders:
    def test_every_header_that_is_read_is_described(self) -> None:
        described = {each["name"] for each in DOCUMENT["components"]["parameters"].values()}
        described |= {"X-Api-Authorization", "Authorization"}  # the security schemes
        described |= {"Content-Type", "Content-Encoding"}  # in words: OpenAPI has no place for them
        described = {name.lower() for name in described} - {"x-api-version"}
        # Without "-": IVVY headers are read by the names that are signed.
        assert {name.replace("-", "") for name in described} == {*_headers_read()}
        text = DOCUMENT["info"]["description"] + RESPONSES["MediaTypeUnsupported"]["description"]
        assert "compressed" in text

    def test_the_security_schemes_are_those_that_the_code_knows(self) -> None:
        schemes = DOCUMENT["components"]["securitySchemes"]
        assert DOCUMENT["security"] == [{name: []} for name in schemes]
        assert (schemes["basic"]["type"], schemes["basic"]["scheme"]) == ("http", "basic")
        assert schemes["iws"]["name"] == "X-Api-Authorization"

    def test_headers_that_only_one_action_reads_are_described_as_such(self) -> None:
        assert {action.name: action.headers for action in description().actions.values()} == {
            **dict.fromkeys(description().actions, ()),
            "run": ("Idempotency-Key", "IVVY-Idempotency-Key", "traceparent"),
        }

    def test_the_headers_of_every_answer_are_described_with_every_status(self) -> None:
        for response in RESPONSES.values():
            assert response["headers"].keys() >= api._HEADERS.keys() - {"Content-Type"}
        for name in api._HEADERS.keys() - {"Content-Type"}:
            [schema] = {
                json.dumps(description().resolve(response["headers"][name])["schema"])
                for response in RESPONSES.values()
                if name in response.get("headers", {})
            }
            assert json.loads(schema)["const"] == api._HEADERS[name]


def _headers_read() -> Iterator[str]:
    """Return the names of the request headers that the API reads anywhere."""
    for name in ("api", "domain/signing", "operations/authenticate"):
        tree = ast.parse((ROOT / f"chalicelib/{name}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                asked = ast.unparse(node.func)
                if asked.endswith(("headers.get", "headers).get", ".header")) and node.args:
                    argument = node.args[0]
                    if isinstance(argument, ast.Constant):
                        yield str(argument.value).replace("-", "")


_REFUSED_HEADERS = re.findall(
    r"`([A-Za-z*-]+)`",
    SCHEMAS["CallbackHeaders"]["description"].partition("are refused: ")[2],
)


class TestLimits:
    def test_the_limits_are_those_of_the_code(self) -> None:
        run = SCHEMAS["RunRequest"]["properties"]
        assert run["callbackUrl"]["maxLength"] == address.MAX_URL_CHARACTERS
        assert SCHEMAS["Error"]["properties"]["additionalMessages"]["maxItems"] == (
            run_request.MAX_REASONS
        )
        assert SCHEMAS["PerPage"]["maximum"] == api.MAX_PER_PAGE
        assert f"{api.MAX_PER_PAGE:,} for `results`" in SCHEMAS["PerPage"]["description"]
        assert f"{api.LISTED_PER_PAGE} for `list`" in SCHEMAS["PerPage"]["description"]
        assert f"^{api._ASYNC_ID.pattern}$" == SCHEMAS["AsyncId"]["pattern"]
        key = SCHEMAS["IdempotencyKey"]
        shape = key["pattern"].strip("^$+") + f"{{{key['minLength']},{key['maxLength']}}}"
        assert api._VISIBLE_ASCII.pattern == shape

    @pytest.mark.parametrize("part", ["namespace", "action"])
    @pytest.mark.parametrize(
        "name", ["", "a", "Z9_", "9a", "_a", "a-b", "a b", "\u00e9", "a" * 64, "a" * 65]
    )
    def test_the_described_names_are_those_that_are_accepted(self, part: str, name: str) -> None:
        job = {"namespace": "event", "action": "invite", part: name}
        assert description().accepts(SCHEMAS["Job"], job) is _is_taken({"jobs": [job]})

    def test_the_number_of_jobs_is_what_the_setting_allows(self) -> None:
        [variable] = [each for each in settings.VARIABLES if each.name == "MAX_JOBS_PER_BATCH"]
        jobs = SCHEMAS["RunRequest"]["properties"]["jobs"]
        assert jobs["description"].startswith(f"At most {variable.default},")
        assert variable.parse(str(jobs["maxItems"])) == jobs["maxItems"]
        with pytest.raises(ValueError, match="10000"):
            variable.parse(str(jobs["maxItems"] + 1))

    def test_the_limits_of_optional_keys_are_those_of_the_code(self) -> None:
        run = SCHEMAS["RunRequest"]["properties"]
        assert SCHEMAS["Label"]["maxLength"] == own_words.MAX_LABEL_CHARACTERS
        metadata = SCHEMAS["Metadata"]
        assert metadata["maxProperties"] == own_words.MAX_VALUES
        assert metadata["propertyNames"]["maxLength"] == own_words.MAX_NAME_CHARACTERS
        assert metadata["additionalProperties"]["maxLength"] == own_words.MAX_VALUE_CHARACTERS
        headers = SCHEMAS["CallbackHeaders"]
        assert headers["maxProperties"] == callback_headers.MAX_HEADERS
        assert f"{callback_headers.MAX_HEADERS_BYTES:,} bytes" in headers["description"]
        assert run["callbackResults"]["enum"] == [*CallbackResults, None]
        assert run["maxFailed"]["maximum"] == run_request.MAX_MAX_FAILED
        [hours] = [each for each in settings.VARIABLES if each.name == "DEADLINE_HOURS"]
        most = run["deadlineMinutes"]["maximum"]
        assert hours.parse(str(most // 60)) * 60 == most
        with pytest.raises(ValueError, match="48"):
            hours.parse(str(most // 60 + 1))
        assert f"{int(hours.default or 0) * 60}, unless" in run["deadlineMinutes"]["description"]

    @pytest.mark.parametrize("name", _REFUSED_HEADERS)
    def test_reserved_headers_are_described(self, name: str) -> None:
        described = SCHEMAS["CallbackHeaders"]
        assert f"`{name}`" in described["description"]
        assert not description().accepts(described, {name.replace("*", "a"): "a"})

    def test_no_other_headers_are_described_as_reserved(self) -> None:
        """A pattern of JSON Schema cannot ignore case, so it has every letter twice."""
        refused = callback_headers._NOT_FOR_CALLERS.pattern
        assert len(refused.split("|")) == len(_REFUSED_HEADERS)
        in_any_case = re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", refused)
        described = SCHEMAS["CallbackHeaders"]["propertyNames"]["not"]["pattern"]
        assert described == f"^({in_any_case.replace('-', '[^0-9A-Za-z]')})$"

    @pytest.mark.parametrize(
        "words",
        [
            f"A job has at most {run_request.MAX_JOB_BYTES:,} bytes",
            f"at most {strict_json.MAX_DEPTH} levels",
            f"{strict_json.MAX_CONTAINERS:,} arrays and objects",
            f"at most {strict_json.MAX_DIGITS:,} digits",
            f"A body has at most {api.MAX_BODY_BYTES:,} bytes",
        ],
    )
    def test_limits_that_no_schema_can_express_are_described_in_words(self, words: str) -> None:
        assert words in " ".join(DOCUMENT["info"]["description"].split())


def _is_taken(request: dict[str, Any]) -> bool:
    try:
        run_request.parse(request, ALLOWANCE)
    except CallerError:
        return False
    return True


class TestExamples:
    def test_every_request_is_answered_as_shown(self, front: Front) -> None:
        """The examples are sent in a sensible order; the platform answers what the results show."""
        story = Story(front)
        for name in ("ping", "run"):
            story.tell(name)
        story.run_jobs(1)
        for name in ("progress", "results-partial"):
            story.tell(name)
        story.run_jobs()
        for name in ("results", "results-page", "results-detail", "list", "repost", "restart"):
            story.tell(name)
        story.run_jobs()
        story.tell("cancel")
        requests, answers = (
            {name for part in parts for name in _examples(part)}
            for parts in (
                [operation["requestBody"] for operation in OPERATIONS.values()],
                [operation["responses"]["200"] for operation in OPERATIONS.values()],
            )
        )
        assert requests == answers, "every example of a request needs one of its answer"
        assert requests - story.told == set(), "tell these above too, when the answers fit"
        assert {*description().actions} - {name.partition("-")[0] for name in requests} == set(), (
            "give each of these actions an example of its request and of the answer"
        )

    def test_every_error_example_matches_its_response(self) -> None:
        for response in RESPONSES.values():
            content = response["content"]["application/json"]
            for example in content["examples"].values():
                assert description().faults(content["schema"], example["value"]) == []

    def test_every_error_of_the_service_is_answered_as_shown(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        front = serve(client, monkeypatch, MAX_OPEN_BATCHES="1")
        got = {answer.body for answer in _provoked(front)}
        shown = {
            json.dumps(example["value"]).encode()
            for response in OURS.values()
            for example in response["content"]["application/json"]["examples"].values()
        }
        told_elsewhere = {
            example
            for example in shown
            for message in (KeyRevoked().message, ServiceError.message, NotSaved.message)
            if message.encode() in example
        }
        assert len(told_elsewhere) == 3
        assert shown - got == told_elsewhere

    def test_the_worked_signature_is_correct_and_accepted(self, front: Front) -> None:
        text = DOCUMENT["components"]["securitySchemes"]["iws"]["description"]
        target, body = "/api/1.0/batch?action=progress", f'{{"async":"{ASYNC_ID}"}}'.encode()
        headers = {"Content-Type": "application/json", "IVVY-Date": "2026-11-23 14:49:08 UTC"}
        lowered = {name.lower(): value for name, value in headers.items()}
        signed = SignedRequest(headers=lowered, targets=(target,), body=body)
        signed_text = signing.iws_text(signed, target)
        signature = signing.iws_signature(signed_text, "demo-secret")
        assert f"\n    {signed_text}\n" in text
        assert f"\n    X-Api-Authorization: IWS demo:{signature}\n" in text
        headers["X-Api-Authorization"] = f"IWS demo:{signature}"
        assert front.send(target, body, headers=headers).status == 404

    def test_the_callback_is_sent_as_described(self, front: Front) -> None:
        wanted = _examples(OPERATIONS["batch"]["requestBody"])["run"]
        front.call("run", wanted)
        words = {"label": "May", "metadata": {"order": "77"}, "callbackResults": "none"}
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        body = json.dumps({**wanted, **words}).encode()
        headers = {**basic("demo", "demo-secret"), "traceparent": trace}
        front.send("/api/1.0/batch?action=run", body, headers=headers)
        front.work_off()
        plain, with_more = front.receiver.posts
        [callback] = OPERATIONS["batch"]["callbacks"]["completed"].values()
        schema = strictly().document["components"]["schemas"]["Callback"]
        described = {each["name"]: each for each in callback["post"]["parameters"]}
        required = {name for name, each in described.items() if each.get("required")}
        for post, names in ((plain, required), (with_more, described.keys())):
            assert strictly().faults(schema, json.loads(post.body)) == []
            assert post.headers.keys() - {"Content-Type"} == names
            for name in names:
                assert description().faults(described[name]["schema"], post.headers[name]) == []


def _examples(described: dict[str, Any]) -> dict[str, Any]:
    examples = described["content"]["application/json"]["examples"]
    return {name: example["value"] for name, example in examples.items()}


class Story:
    """The examples of the description, as one life of a batch."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.told: set[str] = set()
        self._async_id = ASYNC_ID
        front.platform.answer = lambda call: Reply(
            status=200,
            body=b'{"invited":1}'
            if call.params["event"] == 1
            else b'{"errorCode":404,"specificCode":0,"message":"No such event"}',
        )

    def tell(self, name: str) -> None:
        """Send an example and compare the answer."""
        action = description().actions[name.partition("-")[0]]
        operation = OPERATIONS[action.namespace]
        sent = _examples(operation["requestBody"])[name]
        shown = _examples(operation["responses"]["200"])[name]
        assert description().faults(action.request, sent) == []
        body = json.dumps(sent).replace(ASYNC_ID, self._async_id).encode()
        answer = self.front.call(f"{action.namespace}?action={action.name}", body)
        assert answer.status == 200, (name, answer.body)
        if name == "run":
            self._async_id = answer.json["asyncId"]
        assert answer.body.decode().replace(self._async_id, ASYNC_ID) == (
            json.dumps(shown, separators=(",", ":"))
        ), f"the answer is not the example `{name}` in docs/openapi.yaml"
        self.told.add(name)

    def run_jobs(self, messages: int | None = None) -> None:
        held = [] if messages is None else self.front.queue.jobs[messages:]
        self.front.queue.jobs = self.front.queue.jobs[:messages]
        self.front.work_off()
        self.front.queue.jobs += held


def _provoked(front: Front) -> Iterator[Answer]:
    """Return the answers to requests that provoke the errors shown, if an account may have one open
    batch."""
    run = _examples(OPERATIONS["batch"]["requestBody"])["run"]
    target = f"{PREFIX}batch?action=run"
    credentials = basic("demo", "demo-secret")
    keyed = {**credentials, "Idempotency-Key": "order-77"}
    yield front.send(f"{PREFIX}batch", headers=credentials)
    yield front.call("run", {**run, "callbackUrl": "http://10.0.0.1/"})
    first = front.send(target, json.dumps(run).encode(), headers=keyed)
    yield front.call("results", {"async": first.json["asyncId"]})
    yield front.send(target, json.dumps(run, indent=1).encode(), headers=keyed)
    yield front.call("run", run)
    yield front.send(target)
    yield front.send(target, headers={"X-Api-Authorization": "IWS demo:" + "0" * 40})
    yield front.call("progress", {"async": ASYNC_ID})
    yield front.call("results", {"async": ASYNC_ID})
    yield front.send(target, method="GET")
    yield front.call("run", b" " * (api.MAX_BODY_BYTES + 1))
    yield front.send(target, headers={**credentials, "Content-Type": "text/plain"})
