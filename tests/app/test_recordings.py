"""A client that knows none of the optional keys sees the same bytes as before they existed."""

import json
from functools import partial
from typing import Any

import pytest
from chalice.test import Client

from tests.app.conftest import Answer, serve
from tests.recordings import recording
from tests.recordings.recording import differences, grown, same
from tests.recordings.stories import STORIES, Story, one_job


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_client_sees_what_was_recorded(
    client: Client, monkeypatch: pytest.MonkeyPatch, story: Story
) -> None:
    seen = story(partial(serve, client, monkeypatch))
    assert differences(recording.read(story.__name__), seen) == []


def test_every_recording_is_played() -> None:
    recorded = {path.stem for path in recording.FOLDER.glob("*.json")}
    assert recorded == {story.__name__ for story in STORIES}


def test_a_recording_is_never_replaced() -> None:
    with pytest.raises(FileExistsError):
        recording.write(one_job.__name__, [])


def answer(body: str, **headers: str) -> Answer:
    return Answer(200, {"Cache-Control": "no-store", **headers}, body.encode())


BEFORE = answer('{"a":1.0,"b":{"c":[{"d":null}]}}')


@pytest.mark.parametrize(
    "now",
    [
        answer('{"b":{"c":[{"d":null}]},"a":1.0}'),
        answer('{"a":1.0,"b":{"c":[{"d":null}]},"e":1}'),
        answer('{"a":1.0, "b":{"c":[{"d":null}]}}'),
        answer(BEFORE.body.decode(), Age="1"),
        Answer(201, BEFORE.headers, BEFORE.body),
    ],
)
def test_a_fixed_answer_may_not_differ_at_all(now: Answer) -> None:
    assert differences([same("run", BEFORE)], [same("run", BEFORE)]) == []
    assert differences([same("run", BEFORE)], [same("run", now)])


@pytest.mark.parametrize(
    "now",
    [
        answer('{"b":{"c":[{"d":null}]},"a":1.0}'),
        answer('{"a":1,"b":{"c":[{"d":null}]}}'),
        answer('{"a":1.0,"b":{"c":[{"d":0}]}}'),
        answer('{"a":1.0,"b":{"c":[{}]}}'),
        answer('{"a":1.0,"b":{"c":[{"d":null},{"d":null}]}}'),
        answer('{"a":1.0,"b":null}'),
        Answer(200, {}, BEFORE.body),
        Answer(201, BEFORE.headers, BEFORE.body),
    ],
)
def test_a_growing_answer_loses_and_changes_nothing(now: Answer) -> None:
    assert differences([grown("list", BEFORE)], [grown("list", now)])


def test_a_growing_answer_may_gain_keys_at_any_depth_and_headers() -> None:
    now = answer('{"z":1,"a":1.0,"b":{"y":2,"c":[{"d":null,"x":[]}]}}', Age="1")
    assert differences([grown("list", BEFORE)], [grown("list", now)]) == []


def test_an_answer_that_is_no_longer_seen_is_reported() -> None:
    assert differences([same("run", BEFORE)], []) == ["[] instead of ['run']"]


@pytest.mark.parametrize("kind", ["headers", "body"])
def test_the_order_of_keys_in_a_callback_counts(kind: str) -> None:
    [post] = [each for each in recording.read("one_job") if each["name"] == "callback"]
    body = json.loads(post["body"])
    changed: dict[str, Any] = {
        "headers": dict(reversed(post["headers"].items())),
        "body": json.dumps(dict(reversed(body.items())), separators=(",", ":")),
    }
    assert differences([post], [{**post, kind: changed[kind]}])
