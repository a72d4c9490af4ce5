"""Breaks the code in each way in the table, and reports the mutants that no test detected."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.checkout import copy_to
from tests.mutants import CannotTell, Mutant, mutants

#: Longer than any of the tests takes on a busy machine.
_SECONDS = 600
_SOME_FAILED = 1


def main(*words: str) -> int:
    """Return the exit status: 0 if the tests detected every mutant."""
    chosen = [each for each in mutants() if " ".join(words) in each.mistake]
    try:
        survivors = _survivors(chosen)
    except CannotTell as error:
        print(error)
        return 1
    for mutant in survivors:
        print(f"survived: {mutant.mistake} ({mutant.file})")
    print(f"{len(chosen)} mutants, {len(survivors)} survived")
    return 1 if survivors else 0


def _survivors(chosen: list[Mutant]) -> list[Mutant]:
    tests = sorted({name for mutant in chosen for name in mutant.seen_by})
    if _fail(tests, lambda _: None):
        raise CannotTell("Tests fail or hang before anything is broken: run `make test`")
    return [mutant for mutant, is_seen in _tried(chosen) if not is_seen]


def _tried(chosen: list[Mutant]) -> Iterable[tuple[Mutant, bool]]:
    """Try mutants, one per core at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, is_seen in zip(chosen, pool.map(_is_seen, chosen), strict=True):
            print("seen" if is_seen else "NOT SEEN", mutant.mistake, sep=": ", flush=True)
            yield mutant, is_seen


def _is_seen(mutant: Mutant) -> bool:
    return _fail(mutant.seen_by, mutant.break_in)


def _fail(tests: list[str], change: Callable[[Path], None]) -> bool:
    """Whether a test fails or hangs in a copy of the checkout, after a change to it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        checkout = copy_to(Path(folder) / "checkout")
        change(checkout)
        process = subprocess.Popen(  # noqa: S603 - our own tests
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=checkout,
            env=os.environ | {"TMPDIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
    if process.returncode not in (0, _SOME_FAILED):
        raise CannotTell(f"pytest ended with status {process.returncode}:\n{said}")
    return process.returncode == _SOME_FAILED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
