"""Records the stories that have no recording yet. Existing recordings are not changed."""

from functools import partial

from tests import surroundings


def record() -> None:
    import pytest
    from chalice.test import Client

    import app
    from tests.app.conftest import serve
    from tests.recordings import recording
    from tests.recordings.stories import STORIES

    with Client(app.app, stage_name="local") as client, pytest.MonkeyPatch.context() as patch:
        for story in STORIES:
            if recording.file_of(story.__name__).exists():
                continue
            recording.write(story.__name__, story(partial(serve, client, patch)))


if __name__ == "__main__":
    surroundings.take_away()
    record()
