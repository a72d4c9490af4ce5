"""The evaluator allows what IAM allows, and refuses to read what it does not understand."""

from typing import Any

import pytest

from tests.iam.policy import Permission, Policy, Request

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/batchback-prod-batches"
#: Any partition; the account is a pattern too.
OUR_TABLES = "arn:*:dynamodb:*:*:table/batchback-prod-*"


def statement(**changed: Any) -> dict[str, Any]:
    """A statement that allows GetItem on our tables, with changes."""
    plain = {
        "Sid": "Plain",
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem"],
        "Resource": [OUR_TABLES],
    }
    return {name: value for name, value in {**plain, **changed}.items() if value is not None}


def policy(*statements: dict[str, Any]) -> Policy:
    return Policy({"Version": "2012-10-17", "Statement": [*statements]})


def asks(action: str = "dynamodb:GetItem", resource: str = TABLE, *keys: str) -> Request:
    return Request(action=action, resource=resource, partition_keys=keys or None)


class TestAllow:
    @pytest.mark.parametrize(
        ("pattern", "action", "is_allowed"),
        [
            ("dynamodb:GetItem", "dynamodb:GetItem", True),
            ("DynamoDB:getitem", "dynamodb:GetItem", True),
            ("dynamodb:*", "dynamodb:GetItem", True),
            ("dynamodb:Get*", "dynamodb:GetItem", True),
            ("dynamodb:Get????", "dynamodb:GetItem", True),
            ("dynamodb:Get?????", "dynamodb:GetItem", False),
            ("*", "dynamodb:GetItem", True),
            ("dynamodb:GetItem", "dynamodb:GetItems", False),
            ("dynamodb:GetItem", "xdynamodb:GetItem", False),
            ("dynamodb:BatchGetItem", "dynamodb:GetItem", False),
            ("sqs:*", "dynamodb:GetItem", False),
            ("dynamodb.GetItem", "dynamodb:GetItem", False),
        ],
    )
    def test_an_action_is_matched_whole_with_wildcards_in_any_case(
        self, pattern: str, action: str, is_allowed: bool
    ) -> None:
        assert bool(policy(statement(Action=pattern)).judge(asks(action))) is is_allowed

    @pytest.mark.parametrize(
        ("pattern", "is_allowed"),
        [
            (TABLE, True),
            (OUR_TABLES, True),
            ("arn:aws:dynamodb:*:*:table/batchback-pro?-batches", True),
            ("*", True),
            (TABLE.upper(), False),
            (TABLE.removesuffix("s"), False),
            (f"{TABLE}/index/*", False),
            (TABLE.replace("prod", "dev"), False),
            (TABLE.replace("eu-west-1", "eu-west-2"), False),
            (TABLE.replace("123456789012", "210987654321"), False),
        ],
    )
    def test_a_resource_is_matched_whole_with_wildcards_in_its_own_case(
        self, pattern: str, is_allowed: bool
    ) -> None:
        assert bool(policy(statement(Resource=pattern)).judge(asks())) is is_allowed

    def test_an_index_is_not_its_table(self) -> None:
        assert policy(statement(Resource=TABLE)).judge(asks(resource=f"{TABLE}/index/due")) is None

    def test_the_first_permission_that_allows_is_the_one_that_is_used(self) -> None:
        allowed = policy(statement(Sid="First"), statement(Sid="Second")).judge(asks())
        assert allowed == Permission(
            statement="First", action="dynamodb:GetItem", resource=OUR_TABLES
        )


class TestDeny:
    def test_a_request_that_no_statement_allows_is_denied(self) -> None:
        assert policy().judge(asks()) is None
        assert policy(statement()).judge(asks("dynamodb:PutItem")) is None

    @pytest.mark.parametrize("is_first", [True, False])
    def test_a_denial_wins_over_any_permission(self, is_first: bool) -> None:
        denial = statement(Effect="Deny", Action="dynamodb:G*", Resource="*")
        statements = [denial, statement()] if is_first else [statement(), denial]
        assert policy(*statements).judge(asks()) is None

    def test_a_denial_of_something_else_changes_nothing(self) -> None:
        denial = statement(Effect="Deny", Action="dynamodb:PutItem")
        assert policy(denial, statement()).judge(asks())

    def test_a_denial_is_not_a_permission(self) -> None:
        assert policy(statement(Effect="Deny")).permissions == set()


class TestPartitionKeys:
    @pytest.mark.parametrize(
        ("patterns", "keys", "is_allowed"),
        [
            (["key#*"], ["key#demo"], True),
            ("key#*", ["key#demo"], True),
            (["key#*"], ["account#demo"], False),
            (["key#*"], ["xkey#demo"], False),
            (["key#*"], ["key#demo", "account#demo"], False),
            (["key#*", "account#*"], ["key#demo", "account#demo"], True),
            (["KEY#*"], ["key#demo"], False),
        ],
    )
    def test_each_key_must_match_one_of_the_patterns(
        self, patterns: Any, keys: list[str], is_allowed: bool
    ) -> None:
        condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": patterns}}
        only_these = policy(statement(Condition=condition))
        assert bool(only_these.judge(asks("dynamodb:GetItem", TABLE, *keys))) is is_allowed

    def test_a_call_with_unknown_keys_is_denied(self) -> None:
        condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*"]}}
        assert policy(statement(Condition=condition)).judge(asks()) is None


def test_permissions_are_every_action_on_every_resource() -> None:
    several = statement(Action=["sqs:A", "sqs:B"], Resource=["arn:x", "arn:y"])
    found = {(each.action, each.resource) for each in policy(several).permissions}
    assert found == {("sqs:A", "arn:x"), ("sqs:A", "arn:y"), ("sqs:B", "arn:x"), ("sqs:B", "arn:y")}


@pytest.mark.parametrize(
    "changed",
    [
        {"NotAction": ["sqs:*"]},
        {"NotResource": ["*"]},
        {"Principal": "*"},
        {"Effect": "allow"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"ForAllValues:StringLike": {"dynamodb:Attributes": ["id"]}}},
        {
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["a"]},
                "Bool": {"aws:SecureTransport": "true"},
            }
        },
        {
            "Condition": {
                "ForAllValues:StringLike": {
                    "dynamodb:LeadingKeys": ["a"],
                    "dynamodb:Attributes": ["id"],
                }
            }
        },
    ],
)
def test_an_unknown_kind_of_statement_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="of another kind"):
        policy(statement(**changed))


@pytest.mark.parametrize(
    "document", [{"Version": "2008-10-17", "Statement": []}, {"Statement": []}, {}]
)
def test_a_policy_of_another_version_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no policy"):
        Policy(document)
