"""Which Chromium `make browser` uses."""

from browser import chromium


def on_the_path(*names: str) -> dict[str, str]:
    return {name: f"/bin/{name}" for name in names}


def test_the_name_of_the_package_comes_first() -> None:
    path = on_the_path("google-chrome", "chromium-browser", "chromium")
    assert chromium.found({}, path.get) == "/bin/chromium"


def test_any_of_its_names_is_found() -> None:
    assert chromium.found({}, on_the_path("google-chrome").get) == "/bin/google-chrome"


def test_the_one_that_you_name_takes_precedence() -> None:
    path = {**on_the_path("chromium"), "/opt/chrome": "/opt/chrome"}
    assert chromium.found({"CHROMIUM": "/opt/chrome"}, path.get) == "/opt/chrome"


def test_no_other_is_used_if_the_one_that_you_name_is_missing() -> None:
    assert chromium.found({"CHROMIUM": "/opt/chrome"}, on_the_path("chromium").get) is None


def test_none_is_found_if_there_is_none() -> None:
    assert chromium.found({}, on_the_path("firefox").get) is None


def test_its_sandbox_is_off_only_for_root() -> None:
    assert chromium.options(user_id=0) == ["--no-sandbox"]
    assert chromium.options(user_id=1000) == []
