"""What people read at the command line follows the rules for messages."""

import re

import pytest

from tests.client.samples import RESULTS
from tests.client.scripted_service import BATCH, ScriptedService, nobodys_address, scripted_service
from tests.client.user import Unwritable, User
from tests.messages import GAP, SECRET, Message, faults, messages, messages_of

EVERY = [*messages()]
#: Without the output of `batchback local`, which has several lines.
OF_ONE_LINE = [
    each for each in EVERY if not (each.by == "say" and each.place.startswith("batchback_local/"))
]


@pytest.mark.parametrize("message", OF_ONE_LINE, ids=lambda each: each.place)
def test_it_follows_the_rules(message: Message) -> None:
    has_remedy = "way_out" in message.filled
    assert [*faults(message.text, stops=message.stops and not has_remedy)] == []


@pytest.mark.parametrize("message", EVERY, ids=lambda each: each.place)
def test_it_shows_no_secret_and_no_text_of_a_library(message: Message) -> None:
    assert [each for each in message.filled if SECRET.search(each)] == []
    assert message.foreign == ()


def test_messages_of_every_package_are_found() -> None:
    packages = {message.place.partition("/")[0] for message in EVERY}
    assert packages == {"client", "batchback_console", "batchback_ops", "batchback_local"}
    assert len(EVERY) > 150


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Unauthorized", "names nothing"),
        ("jobs is required: jobs is required", "says the same twice"),
        ("the stack is broken: mend it", "has a house word"),
        ("the file is gone: [Errno 2]", "is for programmers"),
        ("the file is gone", "does not say what to do"),
        ("the file\nis gone: make it", "is more than one line"),
    ],
)
def test_a_message_that_breaks_a_rule_is_found(text: str, fault: str) -> None:
    assert fault in faults(text, stops=True)


@pytest.mark.parametrize(
    ("source", "text", "foreign"),
    [
        ("raise CannotGoOn('a' f'{b}' + 'c')", f"a{GAP}c", ()),
        ("how = 'do'\nshell.say(f'now {how}')", "now do", ()),
        ("try: f()\nexcept KeyError as e: say(f'no {e}')", f"no {GAP}", ("e",)),
        ("try: f()\nexcept KeyError as e: say(f'no {str(e)}')", f"no {GAP}", ("e",)),
        ("try: f()\nexcept OSError as e: say(f'no {e.strerror}')", f"no {GAP}", ()),
        ("try: f()\nexcept KeyError as e: say(f'{type(e).__name__}')", GAP, ()),
        ("try: f()\nexcept TooNew as e: say(f'no {e}')", f"no {GAP}", ()),
    ],
)
def test_how_a_message_is_read(source: str, text: str, foreign: tuple[str, ...]) -> None:
    [message] = messages_of(source, "x.py")
    assert (message.text, message.foreign) == (text, foreign)


def _refused(service: ScriptedService) -> None:
    service.refuses(400, 23017, "'jobs' is required", "jobs: is required")


PROVOKED = [
    "ping --secret wrong",
    "ping --address NOBODYS",
    "ping --address example.com",
    "ping --address http://[",
    "run none.json",
    "run - --timeout 5",
    "run - --timeout never",
    "run -",
    f"progress {BATCH}",
    f"results {BATCH}",
    "keys create --account ? --stage local",
    "keys list --stage nowhere",
    "ops redrive --stage local --limit 0",
    "resources up --stage local",
    "package --stage local",
    "local --port 0",
    "local --ready-file .",
]


@pytest.mark.parametrize("command", PROVOKED)
def test_messages_of_real_commands_follow_the_rules(command: str) -> None:
    """Their values are filled in."""
    with scripted_service() as service:
        for _ in range(2):
            _refused(service)
        user = User(
            {
                "BATCHBACK_ADDRESS": service.address,
                "BATCHBACK_KEY": "demo",
                "BATCHBACK_SECRET": "demo-secret",
            }
        )
        typed = command.replace("NOBODYS", nobodys_address())
        assert user.types(*typed.split()) in {1, 2, 3}
    for line in user.is_told.splitlines():
        if line.startswith("batchback: "):
            assert [*faults(line, stops=True)] == []
            assert not re.search(r"demo-secret|wrong", line.replace("is wrong", ""))


def test_a_message_about_lost_output_follows_the_rules() -> None:
    with scripted_service() as service:
        service.answers(RESULTS)
        user = User({"BATCHBACK_ADDRESS": service.address, "BATCHBACK_KEY": "demo"})
        user.stdout = Unwritable()
        assert user.types("results", BATCH, "--secret", "demo-secret") == 5
    assert [*faults(user.is_told.strip(), stops=True)] == []
