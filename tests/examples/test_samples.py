"""The checks that docs/receiving.md shows, each used as a reader would use it: the function
`is_genuine` of each language is copied into a program that calls it, verify.sh is run as a whole,
and `verify_callback` is called."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Protocol

import pytest
from batchback import NotGenuine, SecretUnusable, verify_callback

from chalicelib.domain import signing
from tests.examples.runtimes import EXAMPLES, built, needed
from tests.markdown import blocks

KEY = bytes(range(32))
BODY = '{"asyncId":"one","results":[1.0, "é"]}\n'


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


SECRET = whsec(KEY)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A callback and the receiver's secret. None: its variable is not set."""

    headers: Mapping[str, str]
    body: str = BODY
    secret: str | None = SECRET

    def with_header(self, name: str, value: str | None) -> "Case":
        """The case with another value of a header. None: without the header."""
        others = {other: text for other, text in self.headers.items() if other != name}
        return replace(self, headers=others if value is None else {**others, name: value})


class Sample(Protocol):
    @property
    def now(self) -> datetime:
        """The time on its clock. Go always uses the machine's clock, which may differ from the one
        that Python sees here."""

    def judge(self, cases: list[Case]) -> list[bool]:
        """Which of them it considers genuine."""


@dataclass(frozen=True)
class Program:
    """Reads cases, and writes its clock and which cases are genuine."""

    command: tuple[str, ...]

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    @cached_property
    def _ahead(self) -> timedelta:
        seconds, _ = self._run([])
        return datetime.fromtimestamp(seconds, UTC) - datetime.now(UTC)

    def judge(self, cases: list[Case]) -> list[bool]:
        _, found = self._run(cases)
        return found

    def _run(self, cases: list[Case]) -> tuple[float, list[bool]]:
        done = subprocess.run(  # noqa: S603 - our own samples
            self.command,
            input=json.dumps([asdict(case) for case in cases]),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        seconds, found = json.loads(done.stdout)
        return seconds, found


@dataclass(frozen=True)
class Script:
    """verify.sh, run by hand."""

    folder: Path

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def judge(self, cases: list[Case]) -> list[bool]:
        return [self._verify(case) for case in cases]

    def _verify(self, case: Case) -> bool:
        body = self.folder / "body"
        body.write_bytes(case.body.encode())
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        given = [case.headers.get(name, "") for name in names]
        secret = {} if case.secret is None else {"CALLBACK_SECRET": case.secret}
        done = subprocess.run(  # noqa: S603 - our own example
            ["sh", str(EXAMPLES / "verify.sh"), str(body), *given],  # noqa: S607
            env=os.environ | secret,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert done.stdout.count("\n") == 1
        assert (done.stdout == "verified\n") is (done.returncode == 0)
        return done.returncode == 0


class Library:
    """The client's own check."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def judge(self, cases: list[Case]) -> list[bool]:
        return [self._verifies(case) for case in cases]

    def _verifies(self, case: Case) -> bool:
        try:
            verify_callback(case.headers, case.body.encode(), case.secret or "")
        except (NotGenuine, SecretUnusable):
            return False
        return True


PYTHON = """\
import base64, json, sys, time
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
SHOWN
cases = json.load(sys.stdin)
found = [is_genuine(each["headers"], each["body"].encode(), each["secret"]) for each in cases]
print(json.dumps([time.time(), found]))
"""
NODE = """\
const crypto = require('node:crypto');
SHOWN
const cases = JSON.parse(require('node:fs').readFileSync(0));
const found = cases.map((each) => isGenuine(each.headers, Buffer.from(each.body), each.secret));
console.log(JSON.stringify([Date.now() / 1000, found]));
"""
PHP = """\
<?php
declare(strict_types=1);
SHOWN
$found = [];
foreach (json_decode(stream_get_contents(STDIN), true) as $each) {
    $found[] = is_genuine($each['headers'], $each['body'], $each['secret'] ?? false);
}
echo json_encode([time(), $found]);
"""
GO = """\
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

SHOWN
type callback struct {
	Headers map[string]string
	Body    string
	Secret  string
}

func main() {
	cases, found := []callback{}, []bool{}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	for _, each := range cases {
		header := http.Header{}
		for name, value := range each.Headers {
			header.Set(name, value)
		}
		found = append(found, isGenuine(header, []byte(each.Body), each.Secret))
	}
	json.NewEncoder(os.Stdout).Encode([]any{time.Now().Unix(), found})
}
"""


def written(folder: Path, program: str, language: str) -> str:
    """The file of a program around the code that the page shows for a language."""
    shown, *_ = [each.text for each in blocks("docs/receiving.md") if each.language == language]
    path = folder / f"sample.{language}"
    path.write_text(program.replace("SHOWN", shown), "utf-8")
    return str(path)


@pytest.fixture(scope="module", params=["client", "python", "node", "php", "go", "shell"])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("samples")
    match request.param:
        case "client":
            return Library()
        case "python":
            return Program((sys.executable, written(folder, PYTHON, "python")))
        case "node":
            return Program((needed("node"), written(folder, NODE, "js")))
        case "php":
            return Program((needed("php"), written(folder, PHP, "php")))
        case "go":
            return Program((built(written(folder, GO, "go"), folder / "sample"),))
        case _:
            needed("openssl")
            return Script(folder)


@pytest.fixture(scope="module")
def genuine(sample: Sample) -> Case:
    return signed(sample)


def signed(
    sample: Sample, *keys: bytes, age: timedelta = timedelta(), message_id: str = "one-1"
) -> Case:
    """A callback signed as the service signs it, with all of the keys."""
    return Case(
        headers=signing.webhook_headers(
            message_id=message_id,
            body=[BODY.encode()],
            secrets=[whsec(key) for key in keys or [KEY]],
            now=sample.now - age,
        )
    )


def test_a_callback_of_the_service_is_genuine(sample: Sample, genuine: Case) -> None:
    short, long = bytes(24), bytes(64)
    cases = [
        genuine,
        signed(sample, b"another key of 32 bytes, the old", KEY),
        replace(signed(sample, short), secret=whsec(short)),
        replace(signed(sample, long), secret=whsec(long)),
        *(signed(sample, age=timedelta(seconds=seconds)) for seconds in (200, -200)),
    ]
    assert sample.judge(cases) == [True] * len(cases)


#: Invalid secrets, and the keys that careless code decodes from them.
BAD_SECRETS: list[tuple[str | None, bytes]] = [
    *((secret, b"") for secret in (None, "", "whsec_", "whsec", " ", "whsec_\n", "whsec_====")),
    *((secret, secret.encode()) for secret in ("null", "undefined", "false", "None", "hunter2")),
    *((secret, base64.b64decode(secret + "==")) for secret in ("None", "null", "hunter")),
    *((whsec(KEY[:length]), KEY[:length]) for length in (1, 3, 8, 16, 23)),
    (whsec(bytes(65)), bytes(65)),
    (SECRET.removeprefix("whsec_"), KEY),
    (SECRET.upper(), base64.b64decode(SECRET[6:].upper())),
    (f"whsec_{SECRET}", KEY),
    ("whsec_" + KEY.hex(), KEY),
    (SECRET.rstrip("="), KEY),
    (SECRET + "=", KEY),
    (SECRET[:-2] + "9=", KEY),  # other bits after the last byte
    *((damaged, KEY) for damaged in (SECRET + "\n", SECRET + " ", " " + SECRET, SECRET + "\r\n")),
    *(
        (damaged, KEY)
        for damaged in (SECRET[:20] + "\n" + SECRET[20:], SECRET[:20] + "*" + SECRET[20:])
    ),
    ("whsec_" + "-_" * 22, base64.urlsafe_b64decode("-_" * 22)),
    ("whsec_" + "*" * 44, b""),
    ("whsec_" + "é" * 44, b""),
    (SECRET[:-4] + "****", KEY[:30]),
]


def test_a_secret_that_is_empty_short_or_damaged_verifies_nothing(sample: Sample) -> None:
    cases = [replace(signed(sample, key, KEY, b""), secret=secret) for secret, key in BAD_SECRETS]
    found = sample.judge(cases)
    accepted = [
        secret for (secret, _), is_genuine in zip(BAD_SECRETS, found, strict=True) if is_genuine
    ]
    assert accepted == []


def test_a_time_too_far_from_now_is_refused(sample: Sample) -> None:
    ages = [400, -400, 3_600, -3_600, 86_400 * 365, -86_400 * 365]
    cases = [signed(sample, age=timedelta(seconds=age)) for age in ages]
    assert sample.judge(cases) == [False] * len(cases)


def test_another_body_is_refused(sample: Sample, genuine: Case) -> None:
    bodies = ["", BODY + " ", BODY[:-1], BODY.replace("1.0", "1.00"), BODY * 2, "{}", f".{BODY}"]
    cases = [replace(genuine, body=body) for body in bodies]
    assert sample.judge(cases) == [False] * len(cases)


def test_no_part_of_one_header_becomes_one_of_another(sample: Sample) -> None:
    """The id and the time are signed with a period between them."""
    case = signed(sample, message_id="one-1.2")
    shifted = case.with_header("webhook-id", "one-1").with_header(
        "webhook-timestamp", f"2.{case.headers['webhook-timestamp']}"
    )
    assert sample.judge([case, shifted]) == [True, False]


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_or_empty_is_refused(
    sample: Sample, genuine: Case, name: str
) -> None:
    without_id = signed(sample, message_id="")
    cases = [
        genuine.with_header(name, None),
        genuine.with_header(name, ""),
        without_id,
        without_id.with_header("webhook-id", None),
    ]
    assert sample.judge(cases) == [False] * len(cases)


def test_a_wrong_signature_is_refused(sample: Sample, genuine: Case) -> None:
    right = genuine.headers["webhook-signature"]
    wrong = ["v1,", "v1", ",", "*", "v1,*", right[:-1], right.replace("v1,", "v2,"), right.lower()]
    cases = [genuine.with_header("webhook-signature", each) for each in wrong]
    assert sample.judge(cases) == [False] * len(cases)
