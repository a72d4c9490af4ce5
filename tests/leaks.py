"""A guard over the whole test run: reads what each test wrote, and fails any test that let out a
secret. It cannot see output that nobody captures, so it first writes a word to each channel of the
service, and fails the run if it does not read the word back.

    stdout, stderr, logging     as pytest captured them, of a process and its children
    JsonJournal, FakeJournal    each line of the service's log, wherever it went

A test that captures output itself (`capsys`, a file) must check it itself: `found_in`."""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import pytest

from chalicelib.adapters.journal import JsonJournal
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal
from tests.samples import WEBHOOK_SECRET

#: Prefix of what tests plant in places where it must not be found again.
CANARY = "canary"
_SECRETS: Mapping[str, re.Pattern[str]] = {
    "a canary": re.compile(rf"(?i){CANARY}[\w-]*"),
    "the demonstration's secret": re.compile(r"demo-secret"),
    "a callback secret": re.compile(rf"{re.escape(WEBHOOK_SECRET)}|whsec_[A-Za-z0-9+/]{{8,}}"),
    "the signature of a callback": re.compile(r"v1,[A-Za-z0-9+/]{43}="),
    "the signature of a request": re.compile(r"IWS [^:\s]{1,256}:[0-9A-Fa-f]{40}"),
    "a password": re.compile(r"(?i)\bBasic [A-Za-z0-9+/]{8,}={0,2}"),
}
#: What no text in a line of the log contains: quotes and braces are JSON, and so part of a body; a
#: question mark or an equals sign is a query string, an @ a password in an address.
_NO_TEXT_OF_OURS = re.compile(r"[\"{}?=@\\\x00-\x09\x0b-\x1f]|[^\x00]{4001}")


def found_in(text: str) -> list[str]:
    """Each secret in a text, with its kind."""
    return [
        f"{name}: {match[0]}"
        for name, pattern in _SECRETS.items()
        for match in pattern.finditer(text)
    ]


def misfits_in(line: str) -> list[str]:
    """The parts of a line of the log that only a caller could have written."""
    return [
        f"{name!r} holds what no text of ours does: {value[:200]!r}"
        for name, value in _texts_of(json.loads(line))
        if _NO_TEXT_OF_OURS.search(value)
    ]


def _texts_of(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if name == "_aws":
            continue  # CloudWatch's directive
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, int | float):
                yield name, str(each)


class Guard:
    """A pytest plugin. Each xdist worker has its own, and judges what it wrote itself."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._words = {channel: f"leaks: can {channel} be heard?" for channel in _CHANNELS}
        self._said = False
        #: The channels whose word was read back.
        self.heard: set[str] = set()

    @pytest.hookimpl
    def pytest_sessionstart(self) -> None:
        for journal, put in ((JsonJournal, "_put"), (FakeJournal, "put")):
            setattr(journal, put, self._listening(getattr(journal, put)))

    @pytest.hookimpl
    def pytest_runtest_setup(self) -> None:
        """Runs inside the capturing of output, and before any fixture."""
        if not self._said:
            for channel, say in _CHANNELS.items():
                say(self._words[channel])
            self._said = True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        return self.judged(report) if call.when == "teardown" else report

    def judged(self, report: pytest.TestReport) -> pytest.TestReport:
        """The report of a whole test, failed if the test let out a secret."""
        faults = [*self._faults("\n".join(text for _, text in report.sections))]
        if faults:
            report.outcome = "failed"
            report.longrepr = "\n".join(["This test let out secrets:", *faults])
        return report

    def _faults(self, caught: str) -> Iterator[str]:
        lines, self._lines = self._lines, []
        everything = "\n".join([caught, *lines])
        self.heard |= {name for name, word in self._words.items() if word in everything}
        if self._said:
            yield from (f"nobody hears {name}" for name in sorted(_CHANNELS.keys() - self.heard))
        yield from dict.fromkeys(found_in(everything))
        yield from (fault for line in lines if "leaks: " not in line for fault in misfits_in(line))

    def _listening(self, put: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
        def heard(journal: Any, line: str) -> None:
            self._lines.append(line)
            put(journal, line)

        return heard


def _say_on_stdout(word: str) -> None:
    os.write(1, f"{word}\n".encode())


def _say_on_stderr(word: str) -> None:
    sys.stderr.write(f"{word}\n")


def _say_to_a_logger(word: str) -> None:
    """Bypass `logging.disable`, which the service itself calls."""
    logger = logging.getLogger("somebody.elses")
    logger.handle(logger.makeRecord(logger.name, logging.DEBUG, __file__, 0, word, (), None))


def _say_to_a_journal(word: str) -> None:
    JsonJournal(FakeClock(), "local").write(word)


def _say_to_a_fake_journal(word: str) -> None:
    FakeJournal().write(word)


_CHANNELS: Mapping[str, Callable[[str], None]] = {
    "stdout": _say_on_stdout,
    "stderr": _say_on_stderr,
    "logging": _say_to_a_logger,
    "JsonJournal": _say_to_a_journal,
    "FakeJournal": _say_to_a_fake_journal,
}
