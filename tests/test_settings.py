"""Every setting: its default, its range, and its error messages."""

import ipaddress
import re
from dataclasses import Field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib import settings
from chalicelib.domain.account import PlatformAuth
from chalicelib.domain.batch import LONGEST_LIFE
from chalicelib.errors import Misconfigured
from chalicelib.settings import Names, Settings

#: The settings without a default.
LEAST = {"STAGE": "prod", "PLATFORM_ADDRESS": "https://api.example.com"}
#: The settings that the contract names, written down independently.
FIXED_NAMES = {
    "STAGE",
    "PLATFORM_ADDRESS",
    "PLATFORM_AUTH",
    "JOB_TIMEOUT_SECONDS",
    "MAX_JOBS_PER_BATCH",
    "JOBS_PER_MESSAGE",
    "CALLBACK_REQUIRED",
    "BASIC_AUTH",
    "ALLOWED_CALLBACK_NETWORKS",
    "MAX_OPEN_BATCHES",
    "MAX_JOBS_PER_MINUTE",
}

#: The default of every setting that has one.
DEFAULTS: dict[str, object] = {
    "PLATFORM_AUTH": PlatformAuth.IWS,
    "PLATFORM_HEADER": None,
    "JOB_TIMEOUT_SECONDS": 30,
    "JOB_RETRY_SECONDS": 2,
    "MAX_JOBS_PER_BATCH": 200,
    "JOBS_PER_MESSAGE": 50,
    "JOBS_SIDE_BY_SIDE": 25,
    "MAX_CONCURRENT_WORKERS": 10,
    "MAX_CONCURRENT_CALLBACKS": 20,
    "OUTAGE_MINUTES": 60,
    "FLUSH_SECONDS": 1.0,
    "DEADLINE_HOURS": 12,
    "EXPIRY_HOURS": 60,
    "CALLBACK_REQUIRED": True,
    "BASIC_AUTH": True,
    "ALLOWED_CALLBACK_NETWORKS": (),
    "MAX_OPEN_BATCHES": 0,
    "MAX_JOBS_PER_MINUTE": 0,
}
#: The lowest and the highest value of every setting that is a whole number.
RANGES = {
    "JOB_TIMEOUT_SECONDS": (1, 40),
    "JOB_RETRY_SECONDS": (1, 14),
    "MAX_JOBS_PER_BATCH": (1, 10_000),
    "JOBS_PER_MESSAGE": (1, 100),
    "JOBS_SIDE_BY_SIDE": (1, 100),
    "OUTAGE_MINUTES": (0, 2_880),
    "DEADLINE_HOURS": (1, 48),
    "EXPIRY_HOURS": (49, 336),
    "MAX_OPEN_BATCHES": (0, 1_000),
    "MAX_JOBS_PER_MINUTE": (0, 1_000_000),
}

NAMES = [variable.name for variable in settings.VARIABLES]

ROOT = Path(__file__).parent.parent
#: The modules that pass settings on to the code that needs them.
THAT_READ_THEM = "".join(
    (ROOT / name).read_text("utf-8")
    for name in (
        "app.py",
        "chalicelib/service.py",
        "chalicelib/settings.py",
        "chalicelib/wiring.py",
    )
)


def read(**environ: str) -> Settings:
    return settings.read({**LEAST, **environ})


def value(name: str, text: str) -> Any:
    return getattr(read(**{name: text}), name.lower())


def fault(**environ: str) -> str:
    with pytest.raises(Misconfigured) as refused:
        read(**environ)
    return str(refused.value)


class TestDefaults:
    @pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
    def test_missing_settings_have_the_contracts_defaults(self, name: str, default: object) -> None:
        for given in ({}, {name: ""}, {name: "  "}):
            assert getattr(read(**given), name.lower()) == default

    def test_every_default_is_tested(self) -> None:
        assert [*LEAST, *DEFAULTS] == NAMES, "add the setting to DEFAULTS"

    @pytest.mark.parametrize("name", LEAST)
    def test_a_setting_without_a_default_must_be_set(self, name: str) -> None:
        for text in ("", "  "):
            assert fault(**{name: text}) == f"Wrong settings: {name} must be set"

    def test_results_are_kept_two_days_after_the_last_job_by_default(self) -> None:
        assert read().expiry_hours - read().deadline_hours == 48

    def test_every_variable_is_a_setting_and_every_setting_a_variable(self) -> None:
        assert [name.lower() for name in NAMES] == [field.name for field in fields(Settings)], (
            "VARIABLES and Settings must have the same names in the same order"
        )

    @pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
    def test_every_setting_is_used(self, field: Field[object]) -> None:
        """The code uses its name or, for a trigger in app.py, the end of its name."""
        of = field.name.removeprefix("max_concurrent_").upper()
        used = rf'(settings|self)\.{field.name}\b|settings\.max_concurrent\("{of}"\)'
        assert re.search(used, THAT_READ_THEM), (
            f"hand {field.name} to what uses it, in chalicelib/service.py or wiring.py"
        )

    @pytest.mark.parametrize("name", sorted(FIXED_NAMES))
    def test_the_names_in_the_contract_are_read(self, name: str) -> None:
        assert name in NAMES

    @pytest.mark.parametrize("variable", settings.VARIABLES, ids=lambda variable: variable.name)
    def test_every_variable_is_explained_in_a_sentence(self, variable: settings.Variable) -> None:
        assert variable.meaning[0].isupper()
        assert variable.meaning.endswith(".")

    def test_nothing_else_in_the_environment_matters(self) -> None:
        assert read(UNKNOWN="1", MAX_JOBS="9") == read()

    def test_the_environment_of_the_process_is_the_default(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STAGE", "from-environment")
        monkeypatch.setenv("PLATFORM_ADDRESS", "http://127.0.0.1:9")
        assert settings.read().stage == "from-environment"
        assert settings.names() == Names("from-environment")


class TestNumbers:
    @pytest.mark.parametrize("name", RANGES)
    def test_whole_numbers_have_a_range(self, name: str) -> None:
        low, high = RANGES[name]
        others = {"DEADLINE_HOURS": "1", "EXPIRY_HOURS": "96"}
        for good in (low, high):
            found = getattr(read(**{**others, name: f" {good} "}), name.lower())
            assert found == good
            assert type(found) is int
        for bad in (low - 1, high + 1, "-1", "1.0", "1e1", "0x1", "ten", "1 0", "\u0661", "9" * 99):
            told = fault(**{**others, name: str(bad)})
            assert f"{name} must be a whole number from {low} to {high}, not '{bad}'" in told

    def test_the_range_of_every_whole_number_is_tested(self) -> None:
        whole = [name for name in NAMES if "must be a whole number" in fault(**{name: "\0"})]
        assert whole == [*RANGES], "add the setting to RANGES"

    def test_workers_have_a_range_or_no_limit(self) -> None:
        """The trigger's limits:
        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""
        assert [value("MAX_CONCURRENT_WORKERS", text) for text in ("2", "1000", "0")] == [
            2,
            1000,
            None,
        ]
        for bad in ("1", "1001", "-1", "2.0", "two", "\u0662", "9" * 99):
            told = f"MAX_CONCURRENT_WORKERS must be 0 or from 2 to 1000, not {bad!r}"
            assert told in fault(MAX_CONCURRENT_WORKERS=bad)

    def test_flush_seconds_have_a_range_and_may_be_fractions(self) -> None:
        for good in ("0.1", "0.25", "1", "10"):
            assert value("FLUSH_SECONDS", good) == float(good)
        for bad in ("0", "0.09", "10.1", "-1", "nan", "inf", "1e0", ".5", "1.", "a"):
            assert "FLUSH_SECONDS must be a number from 0.1 to 10, not" in fault(FLUSH_SECONDS=bad)


class TestWords:
    @pytest.mark.parametrize("name", ["CALLBACK_REQUIRED", "BASIC_AUTH"])
    def test_flags_are_true_or_false(self, name: str) -> None:
        assert [value(name, text) for text in ("true", "True", "TRUE")] == [True] * 3
        assert [value(name, text) for text in ("false", "False")] == [False] * 2
        for bad in ("1", "0", "yes", "no", "on", "truee"):
            assert (
                fault(**{name: bad}) == f"Wrong settings: {name} must be true or false, not {bad!r}"
            )

    def test_platform_auth_is_one_of_three(self) -> None:
        assert value("PLATFORM_AUTH", "iws") is PlatformAuth.IWS
        assert value("PLATFORM_AUTH", "NONE") is PlatformAuth.NONE
        headed = read(PLATFORM_AUTH="header", PLATFORM_HEADER="X-Key: a")
        assert headed.platform_auth is PlatformAuth.HEADER
        assert "PLATFORM_AUTH must be iws, header or none, not 'basic'" in fault(
            PLATFORM_AUTH="basic"
        )

    @pytest.mark.parametrize(
        ("text", "header"),
        [
            ("-", None),
            ("ssm", "ssm"),
            ("Authorization: Bearer a:b", ("Authorization", "Bearer a:b")),
            ("X-Key:value", ("X-Key", "value")),
            (" X-Key :  value ", ("X-Key", "value")),
        ],
    )
    def test_the_fixed_header_is_a_name_and_a_value(
        self, text: str, header: tuple[str, str] | str | None
    ) -> None:
        assert value("PLATFORM_HEADER", text) == header

    @pytest.mark.parametrize("auth", ["header", " Header ", "iws", "none", ""])
    @pytest.mark.parametrize("header", ["ssm", " ssm ", "X-Key: ssm", "SSM:"])
    def test_deployment_and_function_agree_on_whether_the_header_is_stored(
        self, auth: str, header: str
    ) -> None:
        """A function that reads it without permission would fail."""
        environ = {"PLATFORM_AUTH": auth, "PLATFORM_HEADER": header}
        try:
            found = read(**environ)
        except Misconfigured:
            assert not settings.is_header_kept(environ)
            return
        is_looked_for = (found.platform_auth, found.platform_header) == ("header", "ssm")
        assert settings.is_header_kept(environ) == is_looked_for

    @pytest.mark.parametrize(
        "text",
        [
            "X-Key",
            ": value",
            "X-Key:",
            "X-Key: ",
            "X Key: a",
            "é: a",
            "A: a\nB: b",
            "A: a\rb",
            "A: a\tb",
            "A: a\0b",
            "A: ключ",
            "A: a\u2028b",
        ],
    )
    def test_an_invalid_header_is_refused_without_being_shown(self, text: str) -> None:
        """Its value is a secret."""
        told = "PLATFORM_HEADER must be one line, 'Name: value', in printable ASCII"
        assert fault(PLATFORM_HEADER=text) == f"Wrong settings: {told}"

    @pytest.mark.parametrize("name", ["Host", "content-type", "Transfer-Encoding"])
    def test_a_header_that_is_sent_anyway_is_refused(self, name: str) -> None:
        """It would be sent twice."""
        told = f"PLATFORM_HEADER must not be {name}: the service sets that header itself"
        assert fault(PLATFORM_HEADER=f"{name}: secret") == f"Wrong settings: {told}"


class TestStage:
    @pytest.mark.parametrize("text", ["a", "local", "prod-eu-1", "a" * 30])
    def test_the_stage_names_tables_and_queues(self, text: str) -> None:
        names = read(STAGE=text).names
        assert names == settings.names({"STAGE": text}) == Names(text)
        assert (names.batches_table, names.keys_table, names.jobs_queue) == (
            f"batchback-{text}-batches",
            f"batchback-{text}-keys",
            f"batchback-{text}-jobs",
        )
        assert (names.jobs_dead_queue, names.batches_queue, names.batches_dead_queue) == (
            f"batchback-{text}-jobs-dead",
            f"batchback-{text}-batches",
            f"batchback-{text}-batches-dead",
        )
        assert (names.callbacks_queue, names.callbacks_dead_queue) == (
            f"batchback-{text}-callbacks",
            f"batchback-{text}-callbacks-dead",
        )

    @pytest.mark.parametrize("text", ["A", "1a", "-a", "a_b", "a b", "a" * 31, "é", "a/b", "a.b"])
    def test_an_invalid_stage_is_refused(self, text: str) -> None:
        told = f"STAGE must be 1 to 30 lower-case letters, digits and '-', not {text!r}"
        assert fault(STAGE=text) == f"Wrong settings: {told}"
        with pytest.raises(Misconfigured, match="STAGE must be"):
            settings.names({"STAGE": text})

    @pytest.mark.parametrize("environ", [{}, {"STAGE": ""}])
    def test_the_error_of_a_missing_stage_says_where_to_set_it(
        self, environ: dict[str, str]
    ) -> None:
        with pytest.raises(Misconfigured, match=r"\.chalice/config\.json"):
            settings.names(environ)

    def test_the_names_need_nothing_but_the_stage(self) -> None:
        """Decorators run before anything else is configured."""
        assert settings.names({"STAGE": "local", "MAX_JOBS_PER_BATCH": "wrong"}) == Names("local")


class TestForTheDecorators:
    """app.py reads these settings before anything else is configured."""

    @pytest.mark.parametrize(("of", "default"), [("WORKERS", 10), ("CALLBACKS", 20)])
    def test_a_trigger_needs_nothing_else(self, of: str, default: int) -> None:
        name = f"MAX_CONCURRENT_{of}"
        assert settings.max_concurrent(of, {name: "50"}) == 50
        assert settings.max_concurrent(of, {name: "0"}) is None
        assert settings.max_concurrent(of, {}) == default

    @pytest.mark.parametrize("of", ["WORKERS", "CALLBACKS"])
    def test_a_wrong_number_is_reported(self, of: str) -> None:
        name = f"MAX_CONCURRENT_{of}"
        with pytest.raises(Misconfigured, match=f"{name} must be 0 or from 2 to 1000"):
            settings.max_concurrent(of, {name: "1"})

    def test_the_environment_of_the_process_is_the_default(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAX_CONCURRENT_WORKERS", "7")
        assert settings.max_concurrent("WORKERS") == 7


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("https://api.example.com", "https://api.example.com"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
            ("https://api.example.com/", "https://api.example.com"),
            ("https://api.example.com/base//", "https://api.example.com/base"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://api.example.com/api/1.0", "https://api.example.com"),
            ("https://api.example.com/base//api/1.0/", "https://api.example.com/base"),
            ("https://api.example.com/api/1.0/base", "https://api.example.com/api/1.0/base"),
        ],
    )
    def test_an_address_is_http_or_https_without_a_slash_at_its_end(
        self, text: str, address: str
    ) -> None:
        assert value("PLATFORM_ADDRESS", text) == address

    @pytest.mark.parametrize(
        "text",
        [
            "api.example.com",
            "ftp://api.example.com",
            "https://",
            "https:///path",
            "http://:80",
            "http://[::1",
            "http://a:port",
            "http://a:0",
            "http://a:65536",
            "http://user@a",
            "http://user:password@a",
            "http://:password@a",
            "http://a?b=c",
            "http://a#b",
            "http://a?",
            "http://a#",
            "http://a/b\rc",
            "http://a/\tb",
            "http://a\\@b",
            "http://a..b",
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        told = fault(PLATFORM_ADDRESS=text)
        assert "PLATFORM_ADDRESS must be an http or https address" in told
        assert "password" not in told


class TestNetworks:
    def test_networks_are_separated_by_commas(self) -> None:
        assert value("ALLOWED_CALLBACK_NETWORKS", "-") == ()
        assert value("ALLOWED_CALLBACK_NETWORKS", "127.0.0.0/8, ::1 ,10.1.0.0/16") == (
            ipaddress.ip_network("127.0.0.0/8"),
            ipaddress.ip_network("::1/128"),
            ipaddress.ip_network("10.1.0.0/16"),
        )

    @pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "10.0.0.0/33", ",", "10.0.0.0/8,"])
    def test_an_invalid_network_is_refused(self, text: str) -> None:
        assert "ALLOWED_CALLBACK_NETWORKS must be networks such as" in fault(
            ALLOWED_CALLBACK_NETWORKS=text
        )


class TestFaults:
    def test_all_faults_are_reported_in_one_error(self) -> None:
        with pytest.raises(Misconfigured) as refused:
            settings.read({"STAGE": "A", "MAX_JOBS_PER_BATCH": "0", "BASIC_AUTH": "maybe"})
        assert str(refused.value) == (
            "Wrong settings: "
            "STAGE must be 1 to 30 lower-case letters, digits and '-', not 'A'; "
            "PLATFORM_ADDRESS must be set; "
            "MAX_JOBS_PER_BATCH must be a whole number from 1 to 10000, not '0'; "
            "BASIC_AUTH must be true or false, not 'maybe'"
        )

    def test_header_authentication_needs_a_header(self) -> None:
        wanted = "PLATFORM_HEADER must be set if PLATFORM_AUTH is header"
        assert fault(PLATFORM_AUTH="header") == f"Wrong settings: {wanted}"
        assert fault(PLATFORM_AUTH="header", PLATFORM_HEADER="-") == f"Wrong settings: {wanted}"
        assert wanted in fault(PLATFORM_AUTH="header", BASIC_AUTH="maybe")

    @pytest.mark.parametrize(
        ("variables", "least"),
        [
            ({"EXPIRY_HOURS": "59"}, 60),
            ({"DEADLINE_HOURS": "13"}, 61),
            ({"DEADLINE_HOURS": "48", "EXPIRY_HOURS": "95"}, 96),
            ({"DEADLINE_HOURS": "2", "EXPIRY_HOURS": "49"}, 50),
        ],
    )
    def test_results_are_kept_two_days_after_the_deadline(
        self, variables: dict[str, str], least: int
    ) -> None:
        """Callers are promised this, whatever the settings are."""
        assert fault(**variables) == (
            f"Wrong settings: EXPIRY_HOURS must be at least {least}, which is DEADLINE_HOURS plus "
            "48: callers have two days to fetch results"
        )
        assert read(**{**variables, "EXPIRY_HOURS": str(least)}).expiry_hours == least

    @pytest.mark.parametrize(
        "environ",
        [
            {"EXPIRY_HOURS": "soon"},
            {"DEADLINE_HOURS": "soon"},
            {"PLATFORM_AUTH": "header", "PLATFORM_HEADER": "nonsense"},
            {"PLATFORM_AUTH": "nonsense"},
        ],
        ids=lambda environ: next(reversed(environ)),
    )
    def test_a_wrong_setting_is_not_reported_as_a_contradiction_too(
        self, environ: dict[str, str]
    ) -> None:
        """Its intended value is unknown."""
        told = fault(**environ)
        assert told.count(" must be ") == 1


class TestSecrets:
    def test_the_fixed_header_is_in_no_repr(self) -> None:
        found = read(PLATFORM_AUTH="header", PLATFORM_HEADER="X-Key: very-secret")
        assert found.platform_header == ("X-Key", "very-secret")
        for shown in (repr(found), str(found), f"{found}", repr([found])):
            assert "secret" not in shown
            assert "prod" in shown

    def test_the_fixed_header_is_in_no_error(self) -> None:
        told = fault(PLATFORM_AUTH="header", PLATFORM_HEADER="very-secret", BASIC_AUTH="maybe")
        assert "secret" not in told
        told = fault(PLATFORM_AUTH="nonsense", PLATFORM_HEADER="X-Key: very-secret")
        assert "secret" not in told


def test_no_batch_can_live_longer_than_list_looks_back() -> None:
    [variable] = [each for each in settings.VARIABLES if each.name == "EXPIRY_HOURS"]
    longest = LONGEST_LIFE // timedelta(hours=1)
    assert variable.parse(str(longest)) == longest
    with pytest.raises(ValueError, match=str(longest)):
        variable.parse(str(longest + 1))
