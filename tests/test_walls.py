"""Which part of the code may import which other part; no two parts import each other.

    app -> wiring -> adapters -> domain
    app -> operations -> domain -> errors
    batchback's command line -> its library -> requests
    batchback_local -> batchback_console -> batchback_ops -> batchback
    and all of these know what they need of chalicelib

Every import is read from the source, including those inside functions and for type checkers: naming
a part means knowing it."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.checkout import names_in_git
from tests.pins import dependencies, hashed_pins, pins

ROOT = Path(__file__).parent.parent
STDLIB = sys.stdlib_module_names

DOMAIN = "chalicelib.domain"
ERRORS = "chalicelib.errors"
OPERATIONS = "chalicelib.operations"
PORTS = "chalicelib.operations.ports"
ADAPTERS = "chalicelib.adapters"
API = "chalicelib.api"
SETTINGS = "chalicelib.settings"
WIRING = "chalicelib.wiring"
SERVICE = "chalicelib.service"
VERSION = "chalicelib.version"

#: What each part may import besides the standard library. The longest matching name decides, and a
#: name stands for everything in it.
MAY_IMPORT: dict[str, set[str]] = {
    "app": {"chalice", WIRING, SETTINGS, API, ADAPTERS, ERRORS, f"{DOMAIN}.message"},
    "chalicelib": set(),
    ERRORS: set(),
    SETTINGS: {
        ERRORS,
        *(f"{DOMAIN}.{name}" for name in ("account", "address", "dataclass", "hostnames")),
    },
    WIRING: {SERVICE, SETTINGS, ADAPTERS, PORTS, DOMAIN},
    SERVICE: {API, SETTINGS, OPERATIONS, DOMAIN},
    API: {OPERATIONS, DOMAIN, ERRORS, VERSION},
    VERSION: set(),
    DOMAIN: {DOMAIN, ERRORS},
    f"{DOMAIN}.run_request": {DOMAIN, ERRORS, "pydantic", "pydantic_core"},
    OPERATIONS: {OPERATIONS, DOMAIN, ERRORS},
    ADAPTERS: {ADAPTERS, PORTS, DOMAIN, ERRORS},
}
#: What a caller's program imports, so it must not know the command line.
_LIBRARY = "client errors polling signing strict_json transport verification wire"
CLIENT_LIBRARY = {f"batchback.{name}" for name in _LIBRARY.split()}
MAY_IMPORT |= {
    "batchback": {"batchback", "click"},
    **{f"batchback.{name}": {"batchback", "requests"} for name in ("client", "transport")},
}
OPS = "batchback_ops"
LOCAL = "batchback_local"
CONSOLE = "batchback_console"
#: What the parts of operators' commands share.
_SHARED = {f"{OPS}.{name}" for name in ("command_line", "errors", "project", "stage")}
_COMMANDS = {"batchback", "click", *_SHARED}
MAY_IMPORT |= {
    OPS: set(),
    f"{OPS}.errors": set(),
    f"{OPS}.gateway_responses": set(),
    f"{OPS}.project": {"batchback.errors"},
    f"{OPS}.aws_failures": {"botocore"},
    f"{OPS}.stage": {
        f"{OPS}.aws_failures",
        "batchback",
        f"{OPS}.project",
        SETTINGS,
        ERRORS,
        "boto3",
        "botocore",
    },
    f"{OPS}.command_line": _COMMANDS,
    f"{OPS}.keys": {f"{OPS}.keys", *_COMMANDS, DOMAIN, ADAPTERS},
    f"{OPS}.ops": {f"{OPS}.ops", *_COMMANDS, DOMAIN, PORTS, ADAPTERS, ERRORS},
    f"{OPS}.policies": {f"{OPS}.policies", *_COMMANDS, SETTINGS, ERRORS},
    f"{OPS}.resources": {
        *(f"{OPS}.{name}" for name in ("resources", "gateway_responses")),
        *_COMMANDS,
        *(ADAPTERS, ERRORS, "botocore"),
    },
    f"{OPS}.package": {
        *(f"{OPS}.{name}" for name in ("package", "gateway_responses")),
        *_COMMANDS,
        SETTINGS,
    },
    f"{OPS}.doctor": {
        *(f"{OPS}.{name}" for name in ("doctor", "ops", "policies", "resources")),
        *_COMMANDS,
        *(DOMAIN, PORTS, ADAPTERS, ERRORS, "botocore"),
    },
    CONSOLE: set(),
    f"{CONSOLE}.local_tools": {PORTS},
    f"{CONSOLE}.jobs_seen": {f"{OPS}.ops", f"{DOMAIN}.batch", PORTS},
    f"{CONSOLE}.summary": {f"{OPS}.ops", DOMAIN},
    f"{CONSOLE}.console": {
        *(f"{CONSOLE}.{name}" for name in ("jobs_seen", "local_tools")),
        *(f"{OPS}.stage", PORTS, WIRING, SERVICE),
    },
    f"{CONSOLE}.offers": {f"{CONSOLE}.summary", DOMAIN},
    f"{CONSOLE}.queues": {f"{OPS}.stage", "batchback.errors"},
    f"{CONSOLE}.guard": {"flask"},
    f"{CONSOLE}.views": {
        *(f"{CONSOLE}.{name}" for name in ("console", "jobs_seen", "local_tools", "offers")),
        *(f"{CONSOLE}.{name}" for name in ("queues", "summary", "views")),
        *(OPS, "batchback", "flask", SERVICE, SETTINGS, OPERATIONS, DOMAIN, ERRORS),
    },
    f"{CONSOLE}.server": {
        *(f"{CONSOLE}.{name}" for name in ("console", "guard", "views")),
        *(
            f"{OPS}.ops",
            "batchback.errors",
            "batchback.server_thread",
            VERSION,
            "flask",
            "werkzeug",
        ),
    },
    f"{CONSOLE}.command": {
        *(f"{CONSOLE}.{name}" for name in ("console", "guard", "server")),
        *(*_COMMANDS, ADAPTERS),
    },
    LOCAL: set(),
    f"{LOCAL}.errors": {"batchback.errors"},
    f"{LOCAL}.log": set(),
    f"{LOCAL}.clock": {f"{ADAPTERS}.clock"},
    f"{LOCAL}.http_server": {f"{LOCAL}.errors", "batchback.server_thread"},
    f"{LOCAL}.ready_file": {f"{LOCAL}.errors"},
    f"{LOCAL}.live": {f"{LOCAL}.live", f"{OPS}.project", "batchback", "requests"},
    f"{LOCAL}.aws": {
        *(f"{LOCAL}.{name}" for name in ("aws", "clock", "errors", "http_server")),
        f"{OPS}.project",
        *("boto3", "botocore", "moto"),
    },
    f"{LOCAL}.demonstration": {
        *(f"{LOCAL}.{name}" for name in ("demonstration", "clock", "http_server")),
        f"{CONSOLE}.local_tools",
        "batchback.verification",
        f"{OPS}.keys",
        DOMAIN,
    },
    f"{LOCAL}.runtime": {
        *(f"{LOCAL}.{name}" for name in ("runtime", "clock", "errors", "http_server", "log")),
        *(f"{OPS}.{name}" for name in ("project", "gateway_responses")),
        *("app", WIRING, SETTINGS, ERRORS, "boto3", "botocore", "chalice"),
    },
    f"{LOCAL}.runtime.assembly": {
        *(f"{LOCAL}.clock", WIRING, SERVICE, SETTINGS, PORTS, DOMAIN),
        *(f"{ADAPTERS}.clock", f"{OPERATIONS}.authenticate", f"{OPERATIONS}.deliver_callback"),
    },
    f"{LOCAL}.console": {
        *(f"{LOCAL}.{name}" for name in ("aws", "clock", "demonstration", "errors", "log")),
        *(f"{LOCAL}.next_due", CONSOLE, f"{OPS}.keys", f"{OPS}.project", f"{OPS}.stage"),
        *(ADAPTERS, PORTS, "requests"),
    },
    f"{LOCAL}.next_due": {
        *(f"{LOCAL}.aws", f"{CONSOLE}.local_tools", f"{OPS}.ops"),
        *(PORTS, ADAPTERS, DOMAIN, ERRORS),
    },
    f"{LOCAL}.service": {
        *(f"{LOCAL}.{name}" for name in ("aws", "console", "demonstration", "runtime")),
        *(f"{LOCAL}.{name}" for name in ("clock", "errors", "log", "ready_file")),
        f"{CONSOLE}.server",
        *(SETTINGS, f"{DOMAIN}.account", "boto3", "chalice"),
    },
    f"{LOCAL}.command": {
        *(f"{LOCAL}.{name}" for name in ("service", "log", "ready_file")),
        *(f"{OPS}.keys", *_COMMANDS),
    },
    f"{LOCAL}.demo": {
        *(f"{LOCAL}.{name}" for name in ("demonstration", "service", "live", "log")),
        *("batchback", f"{OPS}.command_line"),
    },
}
_CLIENTS = ("mypy_boto3_dynamodb", "mypy_boto3_sqs", "mypy_boto3_ssm")
#: And an adapter may import the technology that it hides; `mypy_boto3_*` is only for type checkers.
TECHNOLOGY: dict[str, set[str]] = {
    f"{ADAPTERS}.aws": {"botocore", *_CLIENTS},
    f"{ADAPTERS}.dynamodb": {"botocore", "mypy_boto3_dynamodb"},
    f"{ADAPTERS}.batch_store": {"mypy_boto3_dynamodb"},
    f"{ADAPTERS}.key_store": {"mypy_boto3_dynamodb"},
    f"{ADAPTERS}.sqs": {"botocore", "mypy_boto3_sqs"},
    f"{ADAPTERS}.ssm": {"botocore", "mypy_boto3_ssm"},
    f"{ADAPTERS}.wires": {"certifi"},
    f"{OPS}.keys.table": {"mypy_boto3_dynamodb"},
    f"{OPS}.ops.dead_letters": {"mypy_boto3_sqs"},
    f"{OPS}.resources.actions": {"mypy_boto3_cloudformation", "mypy_boto3_dynamodb"},
    f"{OPS}.resources.stack": {"mypy_boto3_cloudformation"},
    f"{LOCAL}.demonstration.account": {"mypy_boto3_dynamodb"},
    f"{LOCAL}.runtime.event_source": {"mypy_boto3_sqs"},
}


def parsed(root: Path, *paths: Path) -> dict[str, ast.Module]:
    """Modules by their names, which begin at a root."""
    return {module_name(path, root): ast.parse(path.read_text("utf-8")) for path in sorted(paths)}


def module_name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


MODULES = parsed(ROOT, ROOT / "app.py", *(ROOT / "chalicelib").rglob("*.py"))
CLIENT = parsed(ROOT / "client" / "src", *(ROOT / "client" / "src").rglob("*.py"))
CHECKOUT = parsed(
    ROOT, *(path for part in (OPS, LOCAL, CONSOLE) for path in (ROOT / part).rglob("*.py"))
)


def imports(tree: ast.Module, module: str) -> Iterator[str]:
    """The full name of everything that is imported anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in {"__import__", "import_module"}:
            yield f"by a name made at run time: {ast.unparse(node)}"


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def map_of_the_service() -> str:
    return ast.get_docstring(MODULES["chalicelib"], clean=False) or ""


def short(part: str) -> str:
    return part.removeprefix("chalicelib.")


def within_the_service(part: str) -> bool:
    return is_within(part, "chalicelib") or part == "app"


def is_within(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")


def allowed(module: str) -> set[str]:
    part = max((part for part in MAY_IMPORT if is_within(module, part)), key=len)
    return MAY_IMPORT[part] | TECHNOLOGY.get(module, set())


def forbidden(tree: ast.Module, module: str) -> list[str]:
    return [
        name
        for name in imports(tree, module)
        if name.split(".")[0] not in STDLIB
        and not any(is_within(name, part) for part in allowed(module))
    ]


def environment_reads(tree: ast.Module) -> list[str]:
    """Every mention of the environment: `os.environ`, `os.getenv`, and either imported by name."""
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in names)
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and names & {alias.name for alias in node.names}
        )
    ]


class TestArrows:
    @pytest.mark.parametrize("module", MODULES)
    def test_a_part_imports_only_what_it_may_know(self, module: str) -> None:
        assert forbidden(MODULES[module], module) == []

    @pytest.mark.parametrize("module", [name for name in MODULES if name != "app"])
    def test_nothing_that_ships_imports_anything_that_does_not(self, module: str) -> None:
        found = {name.split(".")[0] for name in imports(MODULES[module], module)}
        assert not found & {
            "app",
            "batchback",
            CONSOLE,
            LOCAL,
            OPS,
            "benchmarks",
            "pictures",
            "tests",
            "moto",
        }

    def test_the_map_is_correct(self) -> None:
        """The map shows only our own parts; the rules say what else a part may import."""
        lines = re.findall(r"^    ([\w.]+) -> ([\w., ]+)$", map_of_the_service(), re.MULTILINE)
        drawn = {part: set(arrows.split(", ")) for part, arrows in lines}
        assert drawn == {
            short(part): {short(to) for to in may - {part, "chalice"}}
            for part, may in MAY_IMPORT.items()
            if may and part != f"{DOMAIN}.run_request" and within_the_service(part)
        }

    def test_the_map_imports_nothing(self) -> None:
        assert [*imports(MODULES["chalicelib"], "chalicelib")] == []

    @pytest.mark.parametrize("module", [DOMAIN, OPERATIONS, ADAPTERS])
    def test_importing_a_part_runs_nothing(self, module: str) -> None:
        assert all(isinstance(node, ast.Expr) for node in MODULES[module].body)

    @pytest.mark.parametrize("module", MODULES)
    def test_only_the_settings_read_the_environment(self, module: str) -> None:
        assert bool(environment_reads(MODULES[module])) is (module == SETTINGS)

    @pytest.mark.parametrize("part", [DOMAIN, OPERATIONS, ADAPTERS])
    def test_every_part_was_read(self, part: str) -> None:
        assert len([name for name in MODULES if is_within(name, part)]) > 3


class TestDomainIsPure:
    @pytest.mark.parametrize("module", [name for name in MODULES if is_within(name, DOMAIN)])
    def test_it_imports_nothing_that_touches_the_world(self, module: str) -> None:
        """Code that needs the time gets it as an argument."""
        found = {name.split(".")[0] for name in imports(MODULES[module], module)}
        world = {"os", "time", "random", "secrets", "uuid", "subprocess", "threading", "pathlib"}
        assert not found & (world | {"io", "http", "socket", "ssl", "sys", "logging", "asyncio"})

    @pytest.mark.parametrize("module", [name for name in MODULES if is_within(name, DOMAIN)])
    def test_it_reads_no_clock_and_opens_nothing(self, module: str) -> None:
        called = {_called(node) for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)}
        assert not called & {"now", "utcnow", "today", "open", "print", "input", "getaddrinfo"}


class TestClient:
    @pytest.mark.parametrize("module", CLIENT)
    def test_it_knows_only_itself_requests_and_click(self, module: str) -> None:
        """It can therefore be installed with any project, even one with its own `chalicelib`."""
        assert forbidden(CLIENT[module], module) == []

    @pytest.mark.parametrize("module", sorted(CLIENT_LIBRARY | {"batchback"}))
    def test_its_library_knows_no_command_line(self, module: str) -> None:
        known = {name for name in imports(CLIENT[module], module) if name.startswith("batchback")}
        assert all(any(is_within(name, part) for part in CLIENT_LIBRARY) for name in known)

    def test_its_metadata_requires_what_it_imports(self) -> None:
        text = (ROOT / "client" / "pyproject.toml").read_text("utf-8")
        wanted = {Requirement(each).name for each in tomllib.loads(text)["project"]["dependencies"]}
        found = {
            name.split(".")[0] for module in CLIENT for name in imports(CLIENT[module], module)
        }
        assert wanted == found - STDLIB - {"batchback"}


class TestCheckout:
    """What operators and local users run."""

    @pytest.mark.parametrize("module", CHECKOUT)
    def test_a_part_imports_only_what_it_may_know(self, module: str) -> None:
        """So nothing imports the tests, and the operators' code does not import the local
        service."""
        assert forbidden(CHECKOUT[module], module) == []

    @pytest.mark.parametrize("package", [OPS, LOCAL, CONSOLE])
    def test_the_map_names_every_part_and_imports_nothing(self, package: str) -> None:
        parts = {
            name.split(".")[1] for name in CHECKOUT if is_within(name, package) and "." in name
        }
        described = ast.get_docstring(CHECKOUT[package]) or ""
        assert {
            part for part in parts if not re.search(rf"^ +{part}(/|\.py) ", described, re.M)
        } == set()
        assert [*imports(CHECKOUT[package], package)] == []

    def test_no_modules_import_each_other(self) -> None:
        """Modules that import each other in a circle cannot be read one after the other."""
        every = {**MODULES, **CLIENT, **CHECKOUT}
        arrows = {name: {*modules_among(imports(every[name], name), every)} for name in every}
        assert [*TopologicalSorter(arrows).static_order()]

    @pytest.mark.parametrize("package", [OPS, LOCAL, CONSOLE])
    def test_no_folder_has_too_many_files(self, package: str) -> None:
        folders = Counter(path.parent for path in (ROOT / package).rglob("*.py"))
        assert max(folders.values()) <= 12


#: What git tracks at the top level. Add anything new to the layout in CONTRIBUTING.md too.
TOP_LEVEL = {
    *(".chalice", ".ci", ".github", ".gitignore", ".pre-commit-config.yaml"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md"),
    *(
        "app.py",
        "chalicelib",
        "client",
        OPS,
        LOCAL,
        CONSOLE,
        "benchmarks",
        "browser",
        "docs",
        "e2e",
        "examples",
        "pictures",
        "tests",
        "website",
    ),
    *("pyproject.toml", "requirements.txt"),
    *(f"requirements-{name}.txt" for name in ("browser", "dev", "docs", "e2e", "run", "tools")),
}


class TestTopLevel:
    @pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this copy has no .git")
    def test_git_tracks_only_what_belongs_there(self) -> None:
        """The output of a command, redirected into the current folder, is easily committed by
        mistake."""
        kept = {name.partition("/")[0] for name in names_in_git()}
        assert kept == TOP_LEVEL, "git rm stray files; add the others to TOP_LEVEL"


def modules_among(names: Iterable[str], every: Iterable[str]) -> Iterator[str]:
    """The modules that these imported names are, or belong to."""
    known = {*every}
    for name in names:
        if name in known:
            yield name
        elif name.rpartition(".")[0] in known:
            yield name.rpartition(".")[0]


class TestTheseTests:
    """They fail if a wall lets something through."""

    @pytest.mark.parametrize(
        ("module", "source", "found"),
        [
            ("chalicelib.domain.retry", "import chalicelib.adapters.clock", 1),
            ("chalicelib.domain.retry", "from chalicelib import settings", 1),
            ("chalicelib.domain.retry", "from pydantic import BaseModel", 1),
            ("chalicelib.domain.run_request", "from pydantic import BaseModel", 0),
            ("chalicelib.domain.run_request", "import requests", 1),
            ("chalicelib.operations.sweep", "def f():\n    import boto3", 1),
            ("chalicelib.operations.sweep", "from chalicelib.adapters import sqs", 1),
            ("chalicelib.adapters.clock", "import boto3", 1),
            ("chalicelib.adapters.sqs", "if TYPE_CHECKING:\n    import mypy_boto3_sqs", 0),
            ("chalicelib.adapters.sqs", "from chalicelib.operations import ports", 0),
            ("chalicelib.adapters.sqs", "from chalicelib.operations.sweep import Sweep", 1),
            ("chalicelib.adapters.sqs", "from chalicelib.settings import Settings", 1),
            ("chalicelib.errors", "from chalicelib.domain import batch", 1),
            ("chalicelib.api", "import chalice", 1),
            ("chalicelib.api", "__import__('chalice')", 1),
            ("chalicelib.wiring", "import importlib\nimportlib.import_module('x')", 1),
            ("chalicelib.wiring", "from chalicelib.domainlike import x", 1),
            ("app", "from chalicelib.domain import batch", 1),
            ("app", "import json, chalice", 0),
            ("batchback.client", "if TYPE_CHECKING:\n    import requests", 0),
            ("batchback.client", "from batchback import strict_json", 0),
            ("batchback.client", "import click", 1),
            ("batchback.commands", "import requests", 1),
            ("batchback.commands", "from chalicelib.domain import strict_json", 1),
            ("batchback.commands", "import batchback_ops.keys", 1),
            ("batchback_ops.keys.actions", "from batchback_ops.keys import table", 0),
            ("batchback_ops.keys.actions", "from batchback_ops.ops import actions", 1),
            ("batchback_ops.project", "from batchback_ops import stage", 1),
            ("batchback_ops.doctor.examination", "from batchback_local import log", 1),
            ("batchback_local.service", "from batchback_local.live import process", 1),
            ("batchback_local.live.process", "from tests import samples", 1),
            ("batchback_local.demo", "from benchmarks import payloads", 1),
        ],
    )
    def test_a_forbidden_import_is_found(self, module: str, source: str, found: int) -> None:
        assert len(forbidden(ast.parse(source), module)) == found

    def test_no_test_file_holds_what_tests_share(self) -> None:
        files = parsed(ROOT, *(ROOT / "tests").rglob("test_*.py"))
        shared = {
            name: found
            for name, tree in files.items()
            if (found := [each for each in imports(tree, name) if ".test_" in each])
        }
        assert shared == {}

    @pytest.mark.parametrize(
        "source",
        [
            "import os\nos.environ['A']",
            "os.getenv('A')",
            "from os import environ",
            "os.putenv(a, b)",
        ],
    )
    def test_a_read_of_the_environment_is_found(self, source: str) -> None:
        assert environment_reads(ast.parse(source))


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a process that has imported app.py with nothing but the stage set."""
    return set(printed("import app, json, sys; print(json.dumps(sorted(sys.modules)))"))


def printed(program: str) -> Any:
    """Run the program in a new process; return the JSON that it prints."""
    ran = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-B", "-c", program],
        cwd=ROOT,
        env={"STAGE": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


class TestImportOfTheApp:
    def test_importing_the_app_loads_the_whole_service(self, loaded: set[str]) -> None:
        assert {"app", "chalicelib.wiring", "chalicelib.operations.run_jobs"} <= loaded

    @pytest.mark.parametrize(
        "heavy",
        [
            "pydantic",
            "pydantic_core",
            "chalicelib.api",
            "chalicelib.domain.run_request",
            "boto3",
            "requests",
            "chalice.cli",
            "batchback",
            "moto",
            "tests",
        ],
    )
    def test_the_workers_start_without_modules_they_do_not_use(
        self, loaded: set[str], heavy: str
    ) -> None:
        """pydantic alone takes 150 to 230 ms of every cold start, which AWS bills."""
        assert not {name for name in loaded if is_within(name, heavy)}

    def test_a_cold_start_hardly_looks_for_garbage(self) -> None:
        """At Python's own threshold, it looks more than 100 times."""
        looked = printed(
            "import app, gc; print(sum(each['collections'] for each in gc.get_stats()))"
        )
        assert looked < 40


#: Present on Lambda without us: the runtime's packages, and what Chalice adds to every package.
BROUGHT = {"boto3", "chalice"}
#: Used by the command line, and not on Lambda.
OUTSIDE = {"requests"}


def brought_by(asked: Iterable[Requirement], *, without: frozenset[str] = frozenset()) -> set[str]:
    """These packages and all their dependencies."""
    found: set[tuple[str, str]] = set()
    waiting = [(each, extra) for each in asked for extra in ("", *each.extras)]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in without and (name, extra) not in found:
            found.add((name, extra))
            brought = map(Requirement, metadata.requires(name) or ())
            waiting += [
                (each, extra_of_it)
                for each in brought
                if each.marker is None or each.marker.evaluate({"extra": extra})
                for extra_of_it in ("", *each.extras)
            ]
    return {name for name, _ in found}


#: Required by Chalice and used by nothing: pip and setuptools build wheels without it.
UNUSED = frozenset({"wheel"})


class TestRequirements:
    """requirements.txt is the only list that Chalice reads, and Lambda gets exactly what it
    lists."""

    def test_packages_from_lambda_and_chalice_are_dependencies_and_not_packaged(self) -> None:
        assert {*dependencies()} > BROUGHT | OUTSIDE
        assert not (BROUGHT | OUTSIDE) & {*pins("requirements.txt")}

    def test_every_other_dependency_is_pinned_with_its_own_dependencies(self) -> None:
        shipped = {*dependencies()} - BROUGHT - OUTSIDE
        asked = [dependencies()[name] for name in shipped]
        assert {*pins("requirements.txt")} == brought_by(asked)

    def test_everything_the_code_imports_is_packaged_or_provided(self) -> None:
        roots = {
            name.split(".")[0] for module, tree in MODULES.items() for name in imports(tree, module)
        }
        foreign = roots - STDLIB - {"chalicelib"} - {*_CLIENTS}
        packages = {canonicalize_name(root) for root in foreign}
        assert packages <= {*pins("requirements.txt")} | BROUGHT | {"botocore"}

    def test_exactly_the_packages_of_the_tests_are_pinned(self) -> None:
        asked = dependencies("local", "dev")
        assert {*pins("requirements-dev.txt")} == brought_by(asked.values())

    @pytest.mark.parametrize("name", pins("requirements.txt"))
    def test_what_ships_is_what_was_tested(self, name: str) -> None:
        assert pins("requirements.txt")[name] == pins("requirements-dev.txt")[name]

    def test_make_run_installs_what_the_local_service_and_operators_need(self) -> None:
        """It installs nothing else: pip installs the list as it is, without resolving
        dependencies."""
        asked = dependencies("local")
        assert {*pins("requirements-run.txt")} == brought_by(asked.values(), without=UNUSED)

    def test_make_run_and_make_test_agree_on_every_version(self) -> None:
        assert pins("requirements-run.txt").items() <= pins("requirements-dev.txt").items()

    def test_make_browser_and_make_test_agree_on_what_both_use(self) -> None:
        """Its folder comes first on the path."""
        browser, dev = pins("requirements-browser.txt"), pins("requirements-dev.txt")
        shared = browser.keys() & dev.keys()
        assert shared == {"greenlet"}
        assert {name: browser[name] for name in shared} == {name: dev[name] for name in shared}

    @pytest.mark.parametrize(
        "path", sorted(ROOT.glob("requirements*.txt")), ids=lambda path: path.name
    )
    def test_every_pin_has_hashes(self, path: Path) -> None:
        """pip accepts a file only if it has one of them."""
        assert [name for name, (_, hashes) in hashed_pins(path.name).items() if not hashes] == []

    def test_the_pins_are_compatible(self) -> None:
        """pip installs the lists as they are, without checking them."""
        found = pins("requirements-dev.txt")
        clashes = [
            f"{name} wants {each}"
            for name in found
            for each in map(Requirement, metadata.requires(name) or ())
            if each.marker is None or each.marker.evaluate({"extra": ""})
            if not each.specifier.contains(found[canonicalize_name(each.name)])
        ]
        assert clashes == []

    @pytest.mark.parametrize("folder", [".", "client"])
    def test_the_pinned_setuptools_builds_the_projects(self, folder: str) -> None:
        build = tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["build-system"]
        assert build == {
            "requires": [f"setuptools=={pins('requirements-run.txt')['setuptools']}"],
            "build-backend": "setuptools.build_meta",
        }

    @pytest.mark.parametrize("name", dependencies())
    def test_a_pin_matches_what_the_project_requires(self, name: str) -> None:
        assert dependencies()[name].specifier.contains(pins("requirements-dev.txt")[name])
