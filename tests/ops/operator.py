"""An operator who runs `batchback keys` on moto's AWS."""

import io
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from batchback.cli import main
from batchback.shell import Shell

from chalicelib.settings import Names
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: moto answers as AWS, not as the local service.
ENDPOINT = "https://dynamodb.us-east-1.amazonaws.com"
TABLE = Names("local").keys_table
#: A secret that the platform issued.
ISSUED = "a secret that somebody issued"


@dataclass(slots=True)
class Operator:
    """Somebody at a shell, with a clock and random numbers of their own."""

    clock: FakeClock = field(default_factory=FakeClock)
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    stdin: type[io.BytesIO] = io.BytesIO
    stdout: type[io.StringIO] = io.StringIO
    stderr: type[io.StringIO] = io.StringIO
    said: str = ""

    def reads(self, command: str, stdin: str | bytes = "") -> Any:
        """The JSON that a successful command prints."""
        status, printed = self.runs(f"{command} --stage local", stdin)
        assert status == 0, self.said
        return json.loads(printed)

    def is_told(self, command: str, stdin: str | bytes = "", *, of: str = "local") -> str:
        """Why a command fails, in one line on stderr, with nothing on stdout."""
        status, printed = self.runs(f"{command} --stage {of}", stdin)
        assert (status, printed) == (2, "")
        return self.said.splitlines()[-1]

    def runs(self, command: str, stdin: str | bytes = "") -> tuple[int, str]:
        """Run `batchback keys COMMAND` and return its exit status."""
        given = stdin if isinstance(stdin, bytes) else stdin.encode()
        stdout, stderr = self.stdout(), self.stderr()
        shell = Shell(
            environ={"AWS_ENDPOINT_URL": ENDPOINT},
            stdin=self.stdin(given),
            stdout=stdout,
            stderr=stderr,
            now=self.clock.now,
            random_bytes=self.chance.randbytes,
        )
        with patch("batchback_ops.stage.is_of_this_machine", return_value=True):
            status = main(["keys", *command.split(" ")], shell=shell)
        self.said = stderr.getvalue()
        return status, stdout.getvalue()


def empty_the_table(client: "DynamoDBClient") -> None:
    for item in client.scan(TableName=TABLE)["Items"]:
        client.delete_item(TableName=TABLE, Key={"id": item["id"]})
