"""Runs schemathesis against a running service that has batches in different states."""

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

#: Low, so that request bodies at the limit are small and many of them can be sent.
MAX_JOBS = 5
_PATIENCE_SECONDS = 60
_DEADLINE_MINUTES = 12 * 60
#: Checks that fail for the unchanged description: no schema can say which request belongs to which
#: action.
_UNTRUE_OF_THE_WHOLE = ("positive_data_acceptance", "negative_data_rejection")
#: The configuration of schemathesis. By default it expects 405 for TRACE and QUERY too, but API
#: Gateway passes these to no function. And while a batch is not completed, 400 is the right answer
#: to a valid request.
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
    """A running service, and a folder for the files of schemathesis."""

    folder: Path
    address: str
    credentials: str
    callback_url: str
    #: The ids of existing batches.
    async_ids: tuple[str, ...]

    def fuzz_the_whole(self, *options: str) -> "Finding":
        """Test the description, changed only to the number of jobs that this service allows."""
        document = deepcopy(description().document)
        document["components"]["schemas"]["RunRequest"]["properties"]["jobs"]["maxItems"] = MAX_JOBS
        left_out = ["--exclude-checks", ",".join(_UNTRUE_OF_THE_WHOLE)]
        return self._fuzz("openapi", document, *left_out, *options)

    def fuzz_each_action(self, *options: str) -> "Finding":
        """Test each action with its own request and answer."""
        document = one_path_per_action(description())
        schemas = document["components"]["schemas"]
        schemas["RunRequest"]["properties"]["jobs"]["maxItems"] = MAX_JOBS
        schemas["RunRequest"]["properties"]["callbackUrl"] = {"const": self.callback_url}
        _restrict(schemas)
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
    #: The output of schemathesis.
    report: str


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """A new service, which runs inside the `with` block."""
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
    """Yield the id of a completed batch, and of one that runs until the session ends."""
    job: Job = {"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}
    done = client.run([job], callback_url)["asyncId"]
    for _ in tries("delivered", _PATIENCE_SECONDS):
        if client.progress(done)["callback"]["status"] == "delivered":
            break
    yield done
    hangs = {"namespace": "event", "action": "hangs", "sleepMs": 600_000}
    with requests.Session() as http:
        http.trust_env = False
        http.post(f"{where['platform']}/behave", json=hangs, timeout=_PATIENCE_SECONDS)
    yield client.run([{**job, "action": "hangs"}], callback_url)["asyncId"]


def _restrict(schemas: dict[str, Any]) -> None:
    """Narrow the schemas by rules that they cannot fully express: which characters are printable,
    how large all headers may be together, that header names differ in more than case, that job ids
    are unique, how long a deadline may be in this service, and which cursors exist."""
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
    """The same API with a separate path and query for each action. OpenAPI allows no query in a
    path, but schemathesis accepts one, and can then tell which requests are valid."""
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
