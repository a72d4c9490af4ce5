"""Every sentence that the command line can print, found in the sources, and the rules for them. A
program can check these rules: a message names its subject, says what to do if it stops somebody,
repeats nothing, and contains neither a secret nor the text of a library's exception."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("client/src/batchback", "batchback_console", "batchback_ops", "batchback_local")
#: Errors that stop a command, so that the reader has to do something.
STOPS = {"CannotGoOn", "CannotStart", "NotDone", "StillRunning"}
#: Replaces each value.
GAP = "{...}"
#: Functions that turn an exception into a text of ours.
EXPLAIN = {
    *("failure", "refusal", "_refusal", "_failure", "_first_cause", "_how_to_give", "_package"),
    "_why_not",
}
#: Calls that only inform, or whose text is part of a sentence.
TELLS = {
    # CloudFormation's own reason.
    "StackFailed",
    "say",
    "Skipped",
    "Wrong",
    "BadParameter",
    "ValueError",
    "Unreachable",
    "_unreachable",
}
#: Errors whose text is ours, and that of a syntax error, which is about the reader's file.
OURS = {
    *("CallFailed", "DidNotHappen", "KeyboardInterrupt", "NotDone", "StillRunning"),
    *("CannotGoOn", "JSONDecodeError", "NotStrictJson", "Refused", "Unreachable", "ValueError"),
    *("Misconfigured", "StackFailed", "TooNew", "Unavailable", "StillRotating"),
    *("NoHeaders", "NotGenuine", "SecretUnusable", "Unsupported"),
}
#: Words that begin a remedy.
_DO = re.compile(
    r"\b(add|ask|change|check|choose|correct|create|delete|deploy|fix|give|install|look|make|must|"
    r"name|pass|pin|put|raise|redrive|remove|rename|repeat|retry|rotate|run|see|set|sign|start|"
    r"stop|try|type|unset|upgrade|use|wait|write)\b|`",
    re.IGNORECASE,
)
_HOUSE_WORDS = re.compile(
    r"\b(mend|whoever|rings|time-out|looked at|where there is no|does not do|unless said)\b", re.I
)
SECRET = re.compile(r"secret|password|token|credential", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message in the source, with `{...}` for each value."""

    place: str
    by: str
    text: str
    #: The expressions of the values.
    filled: tuple[str, ...]
    #: The names among them of exceptions that are not ours.
    foreign: tuple[str, ...]

    @property
    def stops(self) -> bool:
        return self.by in STOPS


def messages() -> Iterator[Message]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from messages_of(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())


def messages_of(source: str, path: str) -> Iterator[Message]:
    tree = ast.parse(source)
    known, foreign = _texts(tree), {*_foreign(tree)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        by = _called(call)
        if by in STOPS | TELLS:
            # The second argument of Wrong is its remedy, a command or a sentence.
            yield from _message(call.args[: 2 if by == "Wrong" else 1], by, known, foreign, path)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _message(
    arguments: list[ast.expr],
    by: str,
    known: dict[str, ast.expr],
    foreign: set[ast.Name],
    path: str,
) -> Iterator[Message]:
    for number, argument in enumerate(arguments):
        parts = [*_parts(argument, known)]
        filled = [part for part in parts if isinstance(part, ast.expr)]
        names = {node for part in filled for node in ast.walk(part) if isinstance(node, ast.Name)}
        kinds = {node for part in filled for node in _of_kinds(part)}
        yield Message(
            place=f"{path}:{argument.lineno}",
            by=by if by != "Wrong" else ("remedy" if number else "found"),
            text="".join(part if isinstance(part, str) else GAP for part in parts),
            filled=tuple(map(ast.unparse, filled)),
            foreign=tuple(sorted(node.id for node in names & foreign - kinds)),
        )


def _of_kinds(node: ast.expr) -> Iterator[ast.AST]:
    """What is inside `type(...)`, or an attribute of an exception: names, not its text."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            yield inner.value
        if isinstance(inner, ast.Call) and _called(inner) in {"type", "getattr", *EXPLAIN}:
            yield from inner.args


def _parts(node: ast.expr, known: dict[str, ast.expr]) -> Iterator[str | ast.expr]:
    """The texts and the values between them."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            for value in values:
                yield from _parts(value, known)
        case ast.FormattedValue(value=value):
            yield from _parts(value, known)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _parts(left, known)
            yield from _parts(right, known)
        case ast.Name(id=name) if name in known:
            yield from _parts(known[name], {})
        case _:
            yield node


def _texts(tree: ast.Module) -> dict[str, ast.expr]:
    """The texts that are assigned to names."""
    return {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.JoinedStr)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _foreign(tree: ast.Module) -> Iterator[ast.Name]:
    """The uses of exceptions whose text is not ours."""
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if {ast.unparse(kind).rpartition(".")[2] for kind in kinds if kind} <= OURS:
            continue
        for statement in handler.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and node.id == handler.name:
                    yield node


def faults(text: str, *, stops: bool = False) -> Iterator[str]:
    """What is wrong with a message."""
    if "\n" in text:
        yield "is more than one line"
    if GAP not in text and len(re.findall(r"[A-Za-z]{2,}", text)) < 2:
        yield "names nothing"
    if _says_twice(text):
        yield "says the same twice"
    if _HOUSE_WORDS.search(text):
        yield "has a house word"
    if re.search(r"Traceback|Errno|object at 0x|\bNone\b|<class", text):
        yield "is for programmers"
    if stops and text != GAP and not _DO.search(text):
        yield "does not say what to do"


def _says_twice(text: str) -> bool:
    parts = [part.strip(" .\"'").casefold() for part in re.split(r"[:;] ", text)]
    return any(a == b and a != GAP for a, b in pairwise(parts))
