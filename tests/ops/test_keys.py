"""`batchback keys` on moto's AWS: what it stores, prints and refuses, and what it never prints."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from batchback.errors import CannotGoOn

from batchback_ops import stage
from batchback_ops.keys.table import KeyTable
from chalicelib.adapters.key_store import DynamoKeyStore
from chalicelib.domain.account import Account, Key, Secret
from tests.client.user import Unwritable
from tests.fakes.clock import START
from tests.ops.operator import ENDPOINT, ISSUED, TABLE, Operator, empty_the_table
from tests.samples import WEBHOOK_SECRET

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HOUR = timedelta(hours=1)
NOW, TOMORROW = "2026-11-23 14:49:07 UTC", "2026-11-24 14:49:07 UTC"


class Terminal(io.BytesIO):
    """Standard input at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def session(aws: None) -> boto3.Session:  # noqa: ARG001 - moto must be up
    """Shared, because creating one takes ten times as long as a command."""
    return boto3.Session()


@pytest.fixture
def dynamodb(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> "DynamoDBClient":
    """A client, with no keys in the table."""
    monkeypatch.setattr(stage, "_session_of_this_machine", lambda _: session)
    client = session.client("dynamodb", endpoint_url=ENDPOINT)
    empty_the_table(client)
    return client


@pytest.fixture
def operator(dynamodb: "DynamoDBClient") -> Operator:  # noqa: ARG001 - the table is empty
    return Operator()


@pytest.fixture
def service(dynamodb: "DynamoDBClient", operator: Operator) -> DynamoKeyStore:
    """What the service reads."""
    return DynamoKeyStore(dynamodb, TABLE, operator.clock)


@pytest.fixture
def table(dynamodb: "DynamoDBClient") -> KeyTable:
    return KeyTable(dynamodb, TABLE)


@pytest.fixture
def ids(dynamodb: "DynamoDBClient") -> Callable[[], list[str]]:
    """The ids in the table."""
    return lambda: sorted(item["id"]["S"] for item in dynamodb.scan(TableName=TABLE)["Items"])


def secrets_of(key: Key | None) -> list[str]:
    assert key is not None
    return [secret.value for secret in key.secrets]


class TestCreate:
    def test_a_key_of_a_new_account_comes_with_everything_that_is_needed(
        self, operator: Operator
    ) -> None:
        made = operator.reads("create --account acme")
        assert [*made] == ["key", "secret", "account", "callbackSecret"]
        assert re.fullmatch(r"bb-[0-9a-f]{20}", made["key"])
        assert len(bytes.fromhex(made["secret"])) == 32
        assert made["account"] == "acme"
        prefix, _, encoded = made["callbackSecret"].partition("_")
        assert prefix == "whsec"
        assert 24 <= len(base64.b64decode(encoded, validate=True)) <= 64
        assert "shown only this once" in operator.said

    def test_the_service_knows_it_immediately(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        made = operator.reads("create --account acme")
        assert service.find_key(made["key"]) == Key(
            key=made["key"],
            account="acme",
            secrets=(Secret(value=made["secret"]),),
            created_at=START,
        )
        assert service.find_account("acme") == Account(
            account="acme",
            callback_secrets=(Secret(value=made["callbackSecret"]),),
            created_at=START,
        )

    def test_a_second_key_leaves_the_account_as_it_is(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        first = operator.reads("create --account acme")
        second = operator.reads("create --account acme")
        assert [*second] == ["key", "secret", "account"]
        assert second["key"] != first["key"]
        assert second["secret"] != first["secret"]
        account = service.find_account("acme")
        assert account
        assert account.live_callback_secrets(START) == [first["callbackSecret"]]

    def test_an_existing_key_is_never_replaced(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        """Here the random key repeats itself."""
        made = operator.reads("create --account acme")
        operator.chance.seed(7)
        operator.clock.advance(seconds=1)
        assert "run this again" in operator.is_told("create --account acme")
        assert secrets_of(service.find_key(made["key"])) == [made["secret"]]

    @pytest.mark.parametrize("name", ["", "a" * 65, "a/b", "a#b", "a:b", "é", "a\tb", "a\n"])
    def test_an_account_that_would_be_unsafe_somewhere_is_refused(
        self, operator: Operator, ids: Callable[[], list[str]], name: str
    ) -> None:
        assert "1 to 64 ASCII letters, digits, '.', '_' and '-'" in operator.is_told(
            f"create --account {name}"
        )
        assert ids() == []

    @pytest.mark.parametrize("name", ["a", "a" * 64, "Acme-2.eu_west", "..", "-"])
    def test_any_other_name_is_accepted(self, operator: Operator, name: str) -> None:
        assert operator.reads(f"create --account={name}")["account"] == name


class TestImport:
    def test_the_secret_comes_from_standard_input_and_is_never_printed(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        made = operator.reads("import PLATFORM/1 --account acme", ISSUED + "\n")
        assert [*made] == ["key", "account", "callbackSecret"]
        assert (made["key"], made["account"]) == ("PLATFORM/1", "acme")
        assert operator.said == ""
        key = service.find_key("PLATFORM/1")
        assert secrets_of(key) == [ISSUED]
        assert key
        assert key.account == "acme"

    @pytest.mark.parametrize(
        ("given", "secret"),
        [
            (ISSUED, ISSUED),
            (ISSUED + "\n", ISSUED),
            (ISSUED + "\r\n", ISSUED),
            ("s" * 1024 + "\n", "s" * 1024),
            ("16 characters :%\n", "16 characters :%"),
        ],
    )
    def test_one_newline_at_the_end_is_not_part_of_the_secret(
        self, operator: Operator, service: DynamoKeyStore, given: str, secret: str
    ) -> None:
        operator.reads("import K1 --account acme", given)
        assert operator.said == ""
        assert secrets_of(service.find_key("K1")) == [secret]

    @pytest.mark.parametrize(
        ("given", "fault"),
        [
            ("", "is empty"),
            ("\n", "is empty"),
            (ISSUED + "\n\n", "invisible"),
            (ISSUED + "\r", "invisible"),
            (ISSUED + "\0", "invisible"),
            (f"{ISSUED}\tmore", "invisible"),
            (f"{ISSUED}\x1b[2J", "invisible"),
            ("\ufeff" + ISSUED, "invisible"),
            (f"{ISSUED}\u2028", "invisible"),
            (f" {ISSUED}", "begins or ends with a space"),
            (f"{ISSUED} \n", "begins or ends with a space"),
            (f"{ISSUED}é", "not ASCII"),
            ("🔑" * 16, "not ASCII"),
            ("s" * 1025, "longer than 1,024 characters"),
            (ISSUED.encode() + b"\xff", "is not UTF-8"),
        ],
        ids=ascii,
    )
    def test_an_invalid_secret_is_refused_without_being_shown(
        self,
        operator: Operator,
        ids: Callable[[], list[str]],
        given: str | bytes,
        fault: str,
    ) -> None:
        assert fault in operator.is_told("import K1 --account acme", given)
        assert "somebody issued" not in operator.said
        assert ids() == []

    def test_a_short_secret_is_taken_as_the_platform_issued_it_with_a_warning(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        operator.reads("import K1 --account acme", "hunter2")
        assert "can be guessed" in operator.said
        assert "hunter2" not in operator.said
        assert secrets_of(service.find_key("K1")) == ["hunter2"]

    @pytest.mark.parametrize("key", ["", "a:b", "é", "a\tb", "k" * 257, "a\0"])
    def test_a_key_that_could_not_be_sent_is_refused(
        self, operator: Operator, ids: Callable[[], list[str]], key: str
    ) -> None:
        told = operator.is_told(f"import {key} --account acme", ISSUED)
        assert "printable ASCII characters without ':' and spaces" in told
        assert ids() == []

    def test_repeating_it_changes_nothing(
        self, operator: Operator, ids: Callable[[], list[str]]
    ) -> None:
        operator.reads("import K1 --account acme", ISSUED)
        operator.clock.advance(seconds=60)
        again = operator.reads("import K1 --account acme", ISSUED)
        assert again == {"key": "K1", "account": "acme"}
        assert ids() == ["account#acme", "key#K1"]
        assert operator.reads("list")[0]["createdAt"] == NOW

    @pytest.mark.parametrize(
        ("account", "secret"), [("acme", "another secret of theirs"), ("other", ISSUED)]
    )
    def test_an_existing_key_is_never_replaced(
        self,
        operator: Operator,
        service: DynamoKeyStore,
        ids: Callable[[], list[str]],
        account: str,
        secret: str,
    ) -> None:
        operator.reads("import K1 --account acme", ISSUED)
        told = operator.is_told(f"import K1 --account {account}", secret)
        assert "There is already a key K1, active and of account acme" in told
        assert "rotate K1 --secret-stdin --stage local" in told
        assert secrets_of(service.find_key("K1")) == [ISSUED]
        assert ids() == ["account#acme", "key#K1"]

    def test_a_revoked_key_does_not_come_back(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        operator.reads("import K1 --account acme", ISSUED)
        operator.reads("revoke K1")
        assert "already a key K1, revoked" in operator.is_told("import K1 --account acme", ISSUED)
        key = service.find_key("K1")
        assert key
        assert key.is_revoked

    def test_at_a_terminal_it_says_what_to_type(self, operator: Operator) -> None:
        operator.stdin = Terminal
        operator.reads("import K1 --account acme", ISSUED)
        assert "type the secret" in operator.said


class TestList:
    def test_every_key_is_shown_and_no_secret(self, operator: Operator) -> None:
        operator.reads("import B --account acme", ISSUED)
        operator.reads("import C --account zoo", ISSUED)
        operator.clock.advance(seconds=1)
        operator.reads("import A --account acme", ISSUED)
        rows = operator.reads("list")
        assert rows == [
            {
                "key": key,
                "account": account,
                "state": "active",
                "createdAt": created_at,
                "liveSecrets": 1,
                "oldSecretEndsAt": None,
            }
            for key, account, created_at in [
                ("A", "acme", "2026-11-23 14:49:08 UTC"),
                ("B", "acme", NOW),
                ("C", "zoo", NOW),
            ]
        ]

    def test_it_can_be_of_one_account(self, operator: Operator) -> None:
        operator.reads("import A --account acme", ISSUED)
        operator.reads("import B --account zoo", ISSUED)
        assert [row["key"] for row in operator.reads("list --account zoo")] == ["B"]
        assert operator.reads("list --account nobody") == []

    def test_a_rotation_is_shown_until_it_is_over(self, operator: Operator) -> None:
        operator.reads("import A --account acme", ISSUED)
        operator.reads("rotate A")
        [row] = operator.reads("list")
        assert (row["liveSecrets"], row["oldSecretEndsAt"]) == (2, TOMORROW)
        operator.clock.advance(hours=24)
        [row] = operator.reads("list")
        assert (row["liveSecrets"], row["oldSecretEndsAt"]) == (1, None)

    def test_a_revoked_key_has_no_live_secret(self, operator: Operator) -> None:
        operator.reads("import A --account acme", ISSUED)
        operator.reads("rotate A")
        operator.reads("revoke A")
        [row] = operator.reads("list")
        assert (row["state"], row["liveSecrets"], row["oldSecretEndsAt"]) == ("revoked", 0, None)

    def test_a_key_without_a_creation_time_is_shown_too(
        self, operator: Operator, dynamodb: "DynamoDBClient"
    ) -> None:
        """Items from before their format was numbered."""
        text = '[{"value": "secret", "expires_at": 4102444800.5}]'
        dynamodb.put_item(
            TableName=TABLE,
            Item={
                "id": {"S": "key#old"},
                "account": {"S": "acme"},
                "state": {"S": "active"},
                "secrets": {"S": text},
            },
        )
        [row] = operator.reads("list")
        assert (row["key"], row["createdAt"], row["liveSecrets"]) == ("old", None, 1)
        assert row["oldSecretEndsAt"] == "2100-01-01 00:00:00 UTC"
        operator.reads("rotate old --old-valid-hours 0")


class TestRotate:
    @pytest.fixture
    def operator(self, operator: Operator) -> Operator:
        operator.reads("import K1 --account acme", ISSUED)
        return operator

    def live(self, service: DynamoKeyStore, operator: Operator) -> list[str]:
        key = service.find_key("K1")
        assert key
        return key.live_secrets(operator.clock.now())

    def test_the_new_secret_comes_first_and_the_old_one_is_valid_for_a_day(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        made = operator.reads("rotate K1")
        assert [*made] == ["key", "secret", "account", "oldSecretEndsAt"]
        assert len(bytes.fromhex(made["secret"])) == 32
        assert made["oldSecretEndsAt"] == TOMORROW
        assert "shown only this once" in operator.said
        assert self.live(service, operator) == [made["secret"], ISSUED]
        operator.clock.set(START + 24 * HOUR)
        assert self.live(service, operator) == [made["secret"]]

    @pytest.mark.parametrize("hours", [1, 720])
    def test_the_old_secrets_time_can_be_set(
        self, operator: Operator, service: DynamoKeyStore, hours: int
    ) -> None:
        operator.reads(f"rotate K1 --old-valid-hours {hours}")
        operator.clock.set(START + hours * HOUR - timedelta(seconds=1))
        assert len(self.live(service, operator)) == 2
        operator.clock.advance(seconds=1)
        assert len(self.live(service, operator)) == 1

    def test_the_secret_that_the_platform_issued_is_read_and_not_printed(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        made = operator.reads("rotate K1 --secret-stdin", "their new secret, it is long\n")
        assert made == {"key": "K1", "account": "acme", "oldSecretEndsAt": TOMORROW}
        assert self.live(service, operator) == ["their new secret, it is long", ISSUED]
        assert operator.said == ""

    def test_there_are_never_three_live_secrets(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        before = operator.reads("rotate K1")["secret"]
        told = operator.is_told("rotate K1")
        assert f"valid until {TOMORROW}" in told
        assert "--old-valid-hours 0" in told
        assert self.live(service, operator) == [before, ISSUED]
        operator.clock.advance(hours=24)
        after = operator.reads("rotate K1")["secret"]
        assert secrets_of(service.find_key("K1")) == [after, before]

    def test_all_older_secrets_can_be_ended_immediately(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        """This is for a leaked secret. It works even during a rotation."""
        operator.reads("rotate K1")
        made = operator.reads("rotate K1 --old-valid-hours 0")
        assert made["oldSecretEndsAt"] is None
        assert secrets_of(service.find_key("K1")) == [made["secret"]]

    def test_the_same_secret_again_changes_nothing(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        operator.reads("rotate K1 --secret-stdin", "their new secret, it is long")
        operator.clock.advance(hours=1)
        again = operator.reads("rotate K1 --secret-stdin", "their new secret, it is long")
        assert again["oldSecretEndsAt"] == TOMORROW
        assert self.live(service, operator) == ["their new secret, it is long", ISSUED]

    def test_a_rotation_can_be_reverted(self, operator: Operator, service: DynamoKeyStore) -> None:
        operator.reads("rotate K1 --secret-stdin", "their new secret, it is long")
        operator.clock.advance(hours=1)
        back = operator.reads("rotate K1 --secret-stdin", ISSUED)
        assert self.live(service, operator) == [ISSUED, "their new secret, it is long"]
        assert back["oldSecretEndsAt"] == "2026-11-24 15:49:07 UTC"

    def test_an_invalid_secret_changes_nothing(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        assert "is empty" in operator.is_told("rotate K1 --secret-stdin", "\n")
        assert self.live(service, operator) == [ISSUED]

    @pytest.mark.parametrize("hours", ["-1", "721", "1.5", "x", "", "²", "٣"])
    def test_the_hours_are_a_whole_number(self, operator: Operator, hours: str) -> None:
        told = operator.is_told(f"rotate K1 --old-valid-hours={hours}")
        assert "is not a whole number from 0 to 720" in told

    def test_a_revoked_key_is_not_rotated(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        operator.reads("revoke K1")
        assert "K1 is revoked for good" in operator.is_told("rotate K1")
        assert secrets_of(service.find_key("K1")) == [ISSUED]


class TestASecretThatCannotBePrinted:
    """It is valid from the moment it is stored, and no command shows it again."""

    @pytest.mark.parametrize("command", ["create --account acme", "rotate K1"])
    def test_of_a_key(
        self, operator: Operator, service: DynamoKeyStore, table: KeyTable, command: str
    ) -> None:
        table.add_key(a_key())
        operator.stdout = Unwritable
        assert operator.runs(f"{command} --stage local")[0] == 5
        made = told(operator)
        found = service.find_key(made["key"])
        assert found
        assert found.live_secrets(operator.clock.now())[0] == made["secret"]

    @pytest.mark.parametrize("command", ["create --account acme", "rotate K1"])
    def test_none_is_created_if_stderr_cannot_be_written_either(
        self, operator: Operator, table: KeyTable, command: str
    ) -> None:
        table.add_key(a_key())
        operator.stderr = Unwritable
        assert operator.runs(f"{command} --stage local") == (2, "")
        assert [*table.list_keys()] == [a_key()]
        assert table.find_account("acme") is None

    def test_a_secret_that_the_user_provided_needs_no_stderr(
        self, operator: Operator, table: KeyTable
    ) -> None:
        operator.stderr = Unwritable
        operator.reads("import K1 --account acme", ISSUED)
        operator.reads("rotate K1 --secret-stdin", f"another: {ISSUED}")
        assert secrets_of(table.find_key("K1")) == [f"another: {ISSUED}", ISSUED]

    def test_of_callbacks(self, operator: Operator, service: DynamoKeyStore) -> None:
        operator.reads("create --account acme")
        operator.stdout = Unwritable
        assert operator.runs("rotate-callback-secret acme --stage local")[0] == 5
        found = service.find_account("acme")
        assert found
        live = found.live_callback_secrets(operator.clock.now())
        assert live[0] == told(operator)["callbackSecret"]

    def test_what_can_be_shown_again_is_not_on_stderr(self, operator: Operator) -> None:
        operator.reads("create --account acme")
        operator.stdout = Unwritable
        assert operator.runs("show-callback-secret acme --stage local")[0] == 5
        assert "whsec_" not in operator.said
        assert "write it somewhere else" in operator.said


def told(operator: Operator) -> Any:
    """The JSON at the end of stderr."""
    return json.loads(operator.said.partition("but the command succeeded: ")[2])


class TestRevoke:
    def test_it_is_for_good_and_can_be_repeated(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        operator.reads("import K1 --account acme", ISSUED)
        for _ in range(2):
            told = operator.reads("revoke K1")
            assert told == {"key": "K1", "account": "acme", "state": "revoked"}
            assert "stop starting its jobs within a minute" in operator.said
        key = service.find_key("K1")
        assert key
        assert key.is_revoked

    def test_a_caller_with_its_secret_learns_that_it_is_revoked(
        self, operator: Operator, service: DynamoKeyStore
    ) -> None:
        operator.reads("import K1 --account acme", ISSUED)
        operator.reads("revoke K1")
        assert secrets_of(service.find_key("K1")) == [ISSUED]
        assert operator.reads("list")[0]["state"] == "revoked"


class TestCallbackSecrets:
    @pytest.fixture
    def secret(self, operator: Operator) -> str:
        made: str = operator.reads("create --account acme")["callbackSecret"]
        return made

    def test_it_can_be_shown_as_often_as_receivers_need_it(
        self, operator: Operator, secret: str
    ) -> None:
        for _ in range(2):
            assert operator.reads("show-callback-secret acme") == {
                "account": "acme",
                "callbackSecret": secret,
                "oldSecretEndsAt": None,
            }

    def test_during_a_rotation_both_are_shown(self, operator: Operator, secret: str) -> None:
        made = operator.reads("rotate-callback-secret acme --old-valid-hours 48")
        assert made["callbackSecret"] not in {secret, ""}
        assert (made["oldCallbackSecret"], made["oldSecretEndsAt"]) == (
            secret,
            "2026-11-25 14:49:07 UTC",
        )
        assert operator.reads("show-callback-secret acme") == made
        operator.clock.advance(hours=48)
        assert operator.reads("show-callback-secret acme") == {
            "account": "acme",
            "callbackSecret": made["callbackSecret"],
            "oldSecretEndsAt": None,
        }

    def test_there_are_never_three(
        self, operator: Operator, secret: str, service: DynamoKeyStore
    ) -> None:
        operator.reads("rotate-callback-secret acme")
        assert f"valid until {TOMORROW}" in operator.is_told("rotate-callback-secret acme")
        made = operator.reads("rotate-callback-secret acme --old-valid-hours 0")
        account = service.find_account("acme")
        assert account
        assert account.live_callback_secrets(START) == [made["callbackSecret"]] != [secret]


class TestWhatIsNotThere:
    @pytest.mark.parametrize("command", ["rotate K9", "revoke K9"])
    def test_a_key(self, operator: Operator, ids: Callable[[], list[str]], command: str) -> None:
        told = operator.is_told(command)
        assert "There is no key K9 in stage local" in told
        assert "`batchback keys list --stage local`" in told
        assert ids() == []

    @pytest.mark.parametrize("command", ["show-callback-secret", "rotate-callback-secret"])
    def test_an_account(
        self, operator: Operator, ids: Callable[[], list[str]], command: str
    ) -> None:
        told = operator.is_told(f"{command} nobody")
        assert "There is no account nobody in stage local" in told
        assert "`batchback keys create --account nobody --stage local`" in told
        assert ids() == []

    @pytest.mark.parametrize("command", ["list", "create --account acme", "revoke K1"])
    def test_a_table(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
        told = operator.is_told(command, of="prod")
        assert told.startswith("batchback: Stage prod has no resources in eu-north-1")
        assert "`batchback resources up --stage prod`" in told

    def test_a_stage(self, operator: Operator) -> None:
        assert "There is no stage 'nope'" in operator.is_told("list", of="nope")


class _AnotherOperator:
    """A client whose writes the SDK sends twice, as after a lost answer."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name not in {"put_item", "update_item"}:
            return real

        def twice(**request: Any) -> Any:
            real(**request)
            return real(**request)

        return twice


def a_key(name: str = "K1", secret: str = "old") -> Key:
    return Key(key=name, account="acme", secrets=(Secret(value=secret),), created_at=START)


def an_account() -> Account:
    return Account(
        account="acme", callback_secrets=(Secret(value=WEBHOOK_SECRET),), created_at=START
    )


class TestTwoAtOnce:
    """No change is lost, and a repeated write recognizes itself."""

    def test_of_two_simultaneous_rotations_the_second_is_refused(self, table: KeyTable) -> None:
        table.add_key(a_key())

        def meanwhile(_: Key) -> tuple[Secret, ...]:
            table.rotate_key("K1", lambda _: (Secret(value="theirs"),))
            return (Secret(value="mine"),)

        with pytest.raises(CannotGoOn, match="Somebody else rotated"):
            table.rotate_key("K1", meanwhile)
        assert secrets_of(table.find_key("K1")) == ["theirs"]

    def test_a_revocation_in_the_middle_of_a_rotation_holds(self, table: KeyTable) -> None:
        table.add_key(a_key())

        def meanwhile(_: Key) -> tuple[Secret, ...]:
            table.revoke("K1")
            return (Secret(value="mine"),)

        table.rotate_key("K1", meanwhile)
        key = table.find_key("K1")
        assert key
        assert key.is_revoked

    def test_a_rotation_that_is_refused_writes_nothing(self, table: KeyTable) -> None:
        table.add_key(a_key())

        def refuse(_: Key) -> tuple[Secret, ...]:
            raise CannotGoOn("no")

        with pytest.raises(CannotGoOn, match="no"):
            table.rotate_key("K1", refuse)
        assert table.find_key("K1") == a_key()

    def test_only_the_first_of_two_creates_an_account(self, table: KeyTable) -> None:
        assert table.add_account(an_account()) == an_account()
        other = Account(account="acme", callback_secrets=(Secret(value="whsec_other"),))
        assert table.add_account(other) == an_account()
        assert table.find_account("acme") == an_account()

    def test_a_write_that_was_sent_twice_counts_once(self, dynamodb: "DynamoDBClient") -> None:
        client: Any = _AnotherOperator(dynamodb)
        table = KeyTable(client, TABLE)
        assert table.add_key(a_key()) == a_key()
        assert table.add_account(an_account()) == an_account()
        key = table.rotate_key("K1", lambda seen: (Secret(value="new"), *seen.secrets))
        assert secrets_of(key) == ["new", "old"]
        revoked = table.revoke("K1")
        assert revoked
        assert revoked.is_revoked

    def test_attributes_of_a_newer_release_are_kept(
        self, table: KeyTable, dynamodb: "DynamoDBClient"
    ) -> None:
        table.add_key(a_key())
        dynamodb.update_item(
            TableName=TABLE,
            Key={"id": {"S": "key#K1"}},
            UpdateExpression="SET colour = :blue",
            ExpressionAttributeValues={":blue": {"S": "blue"}},
        )
        table.rotate_key("K1", lambda _: (Secret(value="new"),))
        table.revoke("K1")
        item = dynamodb.get_item(TableName=TABLE, Key={"id": {"S": "key#K1"}})["Item"]
        assert item["colour"] == {"S": "blue"}


class TestSecrets:
    def test_no_secret_is_on_stderr_and_none_of_a_key_is_printed_twice(
        self, operator: Operator
    ) -> None:
        """This holds for every command. The secrets are those in the table in between."""
        said, printed = "", ""
        for command, stdin in _a_working_day():
            status, out = operator.runs(f"{command} --stage local", stdin)
            assert status in {0, 2}
            said, printed = said + operator.said, printed + out
        made = re.findall(r'"secret": "([0-9a-f]{64})"', printed)
        callback_secrets = re.findall(r"whsec_[^\"]+", printed)
        assert len(made) == len({*made}) == 3
        assert len({*callback_secrets}) == 2
        for secret in [*made, *callback_secrets, "issued"]:
            assert secret not in said
        assert all(printed.count(secret) == 1 for secret in made)
        assert "issued" not in printed


def _a_working_day() -> Iterator[tuple[str, str]]:
    yield "create --account acme", ""
    yield "import K1 --account acme", ISSUED
    yield "import K1 --account acme", f"also issued: {ISSUED}"
    yield "import K2 --account acme", f"issued\t{ISSUED}"
    yield "rotate K1", ""
    yield "rotate K1", ""
    yield "rotate K1 --secret-stdin", f"newly issued: {ISSUED}"
    yield "rotate K1 --old-valid-hours 0", ""
    yield "list", ""
    yield "show-callback-secret acme", ""
    yield "rotate-callback-secret acme", ""
    yield "revoke K1", ""
    yield "rotate K1 --secret-stdin", ISSUED
    yield "list --account acme", ""
