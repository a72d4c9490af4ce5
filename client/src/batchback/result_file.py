"""Write the file of `--output`: all results or none."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from batchback import json_text
from batchback.errors import CannotGoOn, NotWritten
from batchback.meters import Bar, Nothing
from batchback.shell import Shell
from batchback.wire import Results


def checked_output(file: str) -> Path:
    """The path to write; CannotGoOn if it cannot be written, before anything is sent."""
    path = Path(file)
    if path.exists() and not path.is_file():
        raise CannotGoOn(f"{file} is not a regular file: choose another")
    if not path.parent.is_dir():
        raise CannotGoOn(f"{file} cannot be written: create the folder {path.parent} first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CannotGoOn(
            f"{file} cannot be written: you may not write to its folder, so choose another"
        )
    return path


def write_results(
    batch_id: str, pages: Iterable[Results], path: Path, shell: Shell, done: str = ""
) -> int:
    """Write all results and return how many there are. They go page by page into a temporary file
    next to it, so that memory stays small and the file is never incomplete. NotWritten if that
    fails; `done` says what the command did until then."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x", encoding="ascii") as file:
            written = _write(batch_id, _shown(pages, shell), file, as_lines=_is_lines(path))
        part.replace(path)
    except OSError as error:
        raise NotWritten(error, done) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return written


def _is_lines(path: Path) -> bool:
    return path.suffix == ".jsonl"


def _write(batch_id: str, pages: Iterable[Results], file: TextIO, *, as_lines: bool) -> int:
    begin = f'{{"asyncId": {json_text.line(batch_id)}, "results": [\n'
    frame = ("", "\n", "") if as_lines else (begin, ",\n", "]}\n")
    written = 0
    file.write(frame[0])
    for page in pages:
        for result in page["results"]:
            file.write(f"{frame[1] if written else ''}{json_text.line(result)}")
            written += 1
    file.write("\n" + frame[2] if written else frame[2])
    return written


def _shown(pages: Iterable[Results], shell: Shell) -> Iterator[Results]:
    """Yield the pages, and on a terminal show how many jobs they cover so far."""
    meter = Bar(shell) if shell.stderr.isatty() else Nothing()
    try:
        for page in pages:
            if "meta" in page:
                total = page["meta"]["totalResults"]
                passed = page["meta"].get("next") or total
                meter.show(passed * 100 // max(total, 1), f"{passed} of {total} jobs fetched")
            yield page
    finally:
        meter.close()
