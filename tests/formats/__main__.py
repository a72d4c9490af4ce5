"""Freezes a sample of what the current code stores and sends."""

import os
import sys

os.environ.update(
    {
        "STAGE": "local",
        "PLATFORM_ADDRESS": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
)


def freeze(version: str) -> None:
    import pytest
    from moto import mock_aws

    from batchback_local.aws.moto_patches import make_moto_atomic
    from tests.formats import lives
    from tests.formats.sample import Sample, items_of, messages_of
    from tests.stories.on_moto import OnMoto

    make_moto_atomic()
    with mock_aws(), pytest.MonkeyPatch.context() as monkeypatch:
        life = OnMoto(monkeypatch)
        begun = lives.begin(life)
        now = life.clock.now()
        batches, keys = items_of(life.names.batches_table), items_of(life.names.keys_table)
        messages = messages_of(life.names, now)
        expected = lives.end(life, begun)
    Sample(frozen_at=now, batches=batches, keys=keys, messages=messages, expected=expected).write(
        version
    )


if __name__ == "__main__":
    freeze(sys.argv[1])
