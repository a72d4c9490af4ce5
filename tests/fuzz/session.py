"""A running service with batches in every state, and schemathesis let loose on it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from batchback import Client, Job

from batchback_local.live.process import ServiceProcess
from batchback_local.live.waiting import tries
from tests.description import Description, description

#: Few, so that bodies at the limit are small, and there is time for many.
MAX_JOBS = 5
_PATIENCE_SECONDS = 60
_DEADLINE_MINUTES = 12 * 60
#: Of the description itself these are not true: no schema can say which request is of which action.
_UNTRUE_OF_THE_WHOLE = ("positive_data_acceptance", "negative_data_rejection")
#: How schemathesis is configured. It would expect 405 of TRACE and QUERY too, which API Gateway
#: gives to no function. And 400 is right, whatever was sent, where a batch is not completed.
_CONFIGURATION = """
[phases.coverage]
unexpected-methods = ["get", "put", "delete", "options", "patch"]

[[operations]]
include-operation-id = ["results", "repost"]
[operations.checks.positive_data_acceptance]
expected-statuses = ["200", "400", "404"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Where the service is, and a folder for what is written."""

    folder: Path
    address: str
    credentials: str
    callback_url: str
    #: Batches that are there.
    async_ids: tuple[str, ...]

    def fuzz_the_whole(self, *options: str) -> "Finding":
        """The description as it is, with the number of jobs that this service allows."""
        document = deepcopy(description().document)
        document["components"]["schemas"]["RunRequest"]["properties"]["jobs"]["maxItems"] = MAX_JOBS
        left_out = ["--exclude-checks", ",".join(_UNTRUE_OF_THE_WHOLE)]
        return self._fuzz("openapi", document, *left_out, *options)

    def fuzz_each_action(self, *options: str) -> "Finding":
        """Each action with its own request and answer."""
        document = one_path_per_action(description())
        schemas = document["components"]["schemas"]
        schemas["RunRequest"]["properties"]["jobs"]["maxItems"] = MAX_JOBS
        schemas["RunRequest"]["properties"]["callbackUrl"] = {"const": self.callback_url}
        _say_what_no_schema_can(schemas)
        for one_name in schemas["OfOneBatch"]["anyOf"]:
            [name] = one_name["properties"]
            one_name["properties"][name] = {"enum": [*self.async_ids, "0" * 32]}
        return self._fuzz("actions", document, *options)

    def _fuzz(self, name: str, document: dict[str, Any], *options: str) -> "Finding":
        (self.folder / "schemathesis.toml").write_text(_CONFIGURATION)
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(document))
        command = [sys.executable, "-m", "schemathesis.cli", "run", file.name]
        command += ["--url", self.address, "--auth", self.credentials, "--no-color", *options]
        done = subprocess.run(  # noqa: S603 - our own tool
            command, cwd=self.folder, capture_output=True, text=True, check=False
        )
        return Finding(is_clean=done.returncode == 0, report=done.stdout + done.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    is_clean: bool
    #: What schemathesis says.
    report: str


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """A service of its own between `with` and its end."""
    process = ServiceProcess(folder, variables={"MAX_JOBS_PER_BATCH": str(MAX_JOBS)})
    with process:
        where = process.where()
        callback_url = f"{where['receiver']}/callback"
        with Client(where["address"], where["key"], where["secret"]) as client:
            async_ids = tuple(_batches(client, where, callback_url))
        yield Session(
            folder=folder,
            address=where["address"],
            credentials=f"{where['key']}:{where['secret']}",
            callback_url=callback_url,
            async_ids=async_ids,
        )


def _batches(client: Client, where: dict[str, Any], callback_url: str) -> Iterator[str]:
    """The id of a batch that is done and of one that runs as long as the session."""
    job: Job = {"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}
    done = client.run([job], callback_url)["asyncId"]
    for _ in tries("delivered", _PATIENCE_SECONDS):
        if client.progress(done)["callback"]["status"] == "delivered":
            break
    yield done
    wish = {"namespace": "event", "action": "hangs", "sleepMs": 600_000}
    with requests.Session() as http:
        http.trust_env = False
        http.post(f"{where['platform']}/behave", json=wish, timeout=_PATIENCE_SECONDS)
    yield client.run([{**job, "action": "hangs"}], callback_url)["asyncId"]


def _say_what_no_schema_can(schemas: dict[str, Any]) -> None:
    """Or not all of it: which characters are printable, what headers weigh together and that their
    names differ in more than case, that ids differ, how long a deadline may be here, which cursors
    were handed out."""
    printable_ascii = "^[ -~]*$"
    schemas["Label"]["pattern"] = printable_ascii
    for part in ("propertyNames", "additionalProperties"):
        schemas["Metadata"][part]["pattern"] = printable_ascii
    schemas["CallbackHeaders"]["propertyNames"]["pattern"] = "^[a-z0-9]{1,64}$"
    schemas["CallbackHeaders"]["additionalProperties"]["maxLength"] = 300
    schemas["Job"]["properties"]["id"] = {"type": "null"}
    schemas["RunRequest"]["properties"]["deadlineMinutes"]["maximum"] = _DEADLINE_MINUTES
    schemas["ListRequest"]["properties"]["start"] = {"$ref": "#/components/schemas/Start"}


def one_path_per_action(described: Description) -> dict[str, Any]:
    """The same API with a path and query for each action. OpenAPI allows no query in a path, so
    this is for a tool that takes it all the same, and can then tell which request is valid."""
    document = deepcopy(described.document)
    document["paths"] = {
        f"{path}?action={name}": {"post": _of_action(item["post"], described, name)}
        for path, item in described.document["paths"].items()
        for name in item["post"]["x-actions"]
    }
    return document


def _of_action(operation: dict[str, Any], described: Description, name: str) -> dict[str, Any]:
    action = described.actions[name]
    own: dict[str, Any] = {**operation, "operationId": name}
    del own["x-actions"]
    own.pop("callbacks", None)
    own["parameters"] = [
        parameter
        for parameter in operation["parameters"]
        if described.resolve(parameter)["name"] in action.headers
    ]
    own["requestBody"] = {
        "required": not described.accepts(action.request, None),
        **_content(operation["requestBody"], action.request, name),
    }
    answer = _content(operation["responses"]["200"], action.answer, name)
    own["responses"] = {
        **operation["responses"],
        "200": {**operation["responses"]["200"], **answer},
    }
    return own


def _content(body: dict[str, Any], schema: object, name: str) -> dict[str, Any]:
    examples = body["content"]["application/json"]["examples"]
    own = {key: example for key, example in examples.items() if key.partition("-")[0] == name}
    return {"content": {"application/json": {"schema": schema, "examples": own}}}
