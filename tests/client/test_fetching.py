"""`batchback results --output`: writes all results to a file, or none."""

import errno
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batchback import Results
from batchback.result_file import write_results
from batchback.shell import Shell

from tests.client.scripted_service import BATCH, JOB, ScriptedService
from tests.client.user import Terminal, User

PONG = {"ack": "now", "version": "0.1.0"}


def results(*responses: object) -> list[dict[str, Any]]:
    return [{**JOB, "response": response} for response in responses]


def page(start: int, following: int | None, *responses: object, total: int = 3) -> dict[str, Any]:
    counted = {"totalResults": total, "start": start, "perPage": 1_000, "count": len(responses)}
    return {
        "asyncId": BATCH,
        "results": results(*responses),
        "meta": {**counted, "next": following},
    }


class TestOutput:
    def test_all_pages_are_one_file(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        """The file is like a whole answer of `results`. Nothing goes to standard output."""
        file = tmp_path / "results.json"
        service.answers(page(0, 2, "é", 1), page(2, None, "\ud83d"))
        assert user.types("results", BATCH, "--output", str(file)) == 0
        assert json.loads(file.read_bytes()) == {
            "asyncId": BATCH,
            "results": results("é", 1, "\ud83d"),
        }
        assert [asked.json for asked in service.asked] == [
            {"async": BATCH, "start": 0},
            {"async": BATCH, "start": 2},
        ]
        assert user.stdout.getvalue() == ""
        assert user.is_told == f"batchback: wrote 3 results to {file}\n"

    def test_jsonl_has_one_result_per_line(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        """Numbers keep every digit."""
        file = tmp_path / "results.jsonl"
        service.answers_bytes(
            json.dumps(page(0, 2, "one", ["two"])).replace('"one"', "1.10").encode()
        )
        service.answers(page(2, None, {"a": {}}))
        assert user.types("results", BATCH, "--output", str(file)) == 0
        lines = file.read_text().splitlines()
        assert [json.loads(line) for line in lines] == results(1.1, ["two"], {"a": {}})
        assert '"response": 1.10}' in lines[0]

    @pytest.mark.parametrize(
        ("name", "content"),
        [("r.jsonl", ""), ("r.json", f'{{"asyncId": "{BATCH}", "results": [\n]}}\n')],
    )
    def test_without_results_there_is_still_a_file(
        self, service: ScriptedService, user: User, tmp_path: Path, name: str, content: str
    ) -> None:
        """The command follows a page without results."""
        service.answers(PONG, page(0, 2), page(2, None))
        file = tmp_path / name
        assert user.types("results", BATCH, "--only", "failed", "--output", str(file)) == 0
        assert file.read_text() == content
        assert user.is_told == f"batchback: wrote 0 results to {file}\n"

    def test_options_select_the_results(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        service.answers(PONG, page(0, None))
        options = ["--only", "failed", "--detail", "--partial"]
        assert user.types("results", BATCH, *options, "--output", str(tmp_path / "r.json")) == 0
        wanted = {"only": "failed", "detail": True, "partial": True}
        assert service.asked[1].json == {"async": BATCH, "start": 0, **wanted}

    def test_a_service_that_returns_no_next(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        """There, each job has one result."""
        pages = [page(0, None, 1, 2), page(2, None, 3)]
        for each in pages:
            del each["meta"]["next"]
        service.answers(*pages)
        assert user.types("results", BATCH, "--output", str(tmp_path / "r.json")) == 0
        assert [asked.json.get("start") for asked in service.asked] == [0, 2]

    def test_calls_that_fail_are_retried(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        """The pages fetched so far are kept."""
        service.answers(page(0, 2, 1, 2))
        for _ in range(3):
            service.answers_bytes(b"<html>", status=502)
        body = b'{"errorCode": 429, "message": "Too many requests", "specificCode": 0}'
        service.answers_bytes(body, status=429, **{"Retry-After": "17"})
        service.answers(page(2, None, 3))
        assert user.types("results", BATCH, "--output", str(tmp_path / "r.json")) == 0
        assert user.time.slept == pytest.approx([0.2, 0.3, 0.45, 17])

    def test_a_bar_on_a_terminal(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        """It counts the jobs that the pages cover, whether or not they have results."""
        service.answers(page(0, 2, 1), page(2, None, 3))
        user.stderr = Terminal()
        file = tmp_path / "r.json"
        assert user.types("results", BATCH, "--output", str(file)) == 0
        first, second, third = user.is_told.split("\r")
        assert first == ""
        assert second.startswith(f"[{'#' * 19}{'.' * 11}]  66%  2 of 3 jobs fetched")
        assert third.startswith(f"[{'#' * 30}] 100%  3 of 3 jobs fetched")
        assert third.endswith(f"\nbatchback: wrote 2 results to {file}\n")

    @pytest.mark.parametrize("name", ["r.json", "r.jsonl"])
    def test_only_one_page_is_in_memory(self, tmp_path: Path, name: str) -> None:
        """The results of ten thousand jobs may be 50 MB."""

        def pages() -> Iterator[Results]:
            for start in range(30):
                text = json.dumps(page(start, start + 1, "x" * 1_000_000, total=30))
                yield json.loads(text)

        tracemalloc.start()
        try:
            assert write_results(BATCH, pages(), tmp_path / name, Shell()) == 30
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


class TestNoFileIsIncomplete:
    def test_a_refusal_leaves_the_old_file(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        """No temporary file is left."""
        file = tmp_path / "r.json"
        file.write_text("old")
        service.answers(page(0, 2, 1, 2))
        service.refuses(404, 24115, "Could not find batch")
        assert user.types("results", BATCH, "--output", str(file)) == 1
        assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("r.json", "old")]

    def test_ctrl_c_leaves_nothing(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        def ctrl_c(_: float) -> None:
            raise KeyboardInterrupt

        service.answers(page(0, 2, 1, 2))
        service.answers_bytes(b"<html>", status=502)
        user.sleep = ctrl_c
        assert user.types("results", BATCH, "--output", str(tmp_path / "r.json")) == 130
        assert [*tmp_path.iterdir()] == []

    def test_a_full_disk(
        self,
        service: ScriptedService,
        user: User,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The status is 5, as for standard output."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        service.answers(page(0, None, 1))
        assert user.types("results", BATCH, "--output", str(tmp_path / "r.json")) == 5
        assert "No space left on device" in user.is_told
        assert [*tmp_path.iterdir()] == []

    def test_it_replaces_the_old_file(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        file = tmp_path / "r.jsonl"
        file.write_text("old")
        service.answers(page(0, None, 1))
        assert user.types("results", BATCH, "--output", str(file)) == 0
        assert [each.name for each in tmp_path.iterdir()] == ["r.jsonl"]
        assert "old" not in file.read_text()

    @pytest.mark.parametrize("file", ["/dev/null", "/", "/no/such/folder/r.json"])
    def test_an_unusable_file_is_reported_before_anything_is_sent(
        self, service: ScriptedService, user: User, file: str
    ) -> None:
        assert user.types("results", BATCH, "--output", file) == 2
        assert user.is_told.startswith(f"batchback: {file} ")
        assert service.asked == []

    def test_a_single_page_is_not_written(
        self, service: ScriptedService, user: User, tmp_path: Path
    ) -> None:
        """--output writes all pages."""
        options = ["--start", "0", "--output", str(tmp_path / "r.json")]
        assert user.types("results", BATCH, *options) == 2
        assert user.is_told == (
            "batchback: --output fetches all pages: leave out --start and --per-page\n"
        )
        assert service.asked == []
