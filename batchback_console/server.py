"""The console's HTTP server: the page, and JSON under /api/."""

import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batchback.errors import CannotGoOn
from batchback.server_thread import ServerThread
from flask import Blueprint, Flask, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server

from batchback_console.console import Console
from batchback_console.guard import PAGE, Guard
from batchback_console.views import actions, batch, batches, callback, jobs, local, stage
from batchback_ops.ops.batch_life import time
from chalicelib.version import VERSION

HOST = "127.0.0.1"
PREFERRED_PORT = 8001
_PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_VIEWS = (batches, batch, jobs, callback, actions, stage, local)
#: How often the page asks, so that a stage in AWS costs next to nothing to watch.
POLL_SECONDS = {True: 1, False: 5}
#: Twice the largest batch that the API takes, because its text is sent as a string.
_MOST_BODY_BYTES = 7_000_000

Say = Callable[[str], object]


def create_app(console: Console, guard: Guard, say: Say) -> Flask:
    """The console as a WSGI application. `say` gets a line for each bug of the console."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = _MOST_BODY_BYTES
    app.url_map.merge_slashes = False
    guard.protect(app)
    app.register_blueprint(_page())
    app.register_blueprint(_about(console), url_prefix="/api")
    for view in _VIEWS:
        app.register_blueprint(view.routes(console), url_prefix="/api")
    app.register_error_handler(HTTPException, _refusal)
    app.register_error_handler(Exception, lambda error: _failure(error, console, say))
    return app


def _page() -> Blueprint:
    """Serve the page's own files, and nothing else. They contain no data. Every path of a view is
    the same file."""
    page = Blueprint(PAGE, __name__)
    files = {path.relative_to(_PAGE).as_posix(): path for path in _PAGE.rglob("*.*")}

    @page.get("/page/<path:name>")
    def file(name: str) -> Response:
        if name not in files:
            abort(404, f"The page has no file {name}.")
        return Response(
            files[name].read_bytes(), mimetype=_TYPES.get(files[name].suffix, "text/plain")
        )

    @page.get("/")
    @page.get("/send")
    @page.get("/stage")
    @page.get("/local")
    @page.get("/batches/<_>")
    def index(_: str = "") -> Response:
        return file("index.html")

    return page


def _about(console: Console) -> Blueprint:
    about = Blueprint("console", __name__)

    @about.get("/console")
    def console_() -> dict[str, Any]:
        return {
            "stage": console.stage.name,
            "isLocal": console.is_local,
            "mayAct": console.may_act,
            "version": VERSION,
            "now": time(console.clock.now()),
            "accounts": [*console.accounts()],
            "pollSeconds": POLL_SECONDS[console.is_local],
        }

    return about


def _refusal(error: HTTPException) -> tuple[Response, int]:
    return jsonify({"error": error.description}), error.code or 500


def _failure(error: Exception, console: Console, say: Say) -> tuple[Response, int]:
    """Explain a failure of AWS. Anything else is a bug, of which only the place is printed, because
    its text may contain anything."""
    try:
        with console.stage.explained_errors():
            raise error  # noqa: TRY301 - the block explains what is raised in it
    except CannotGoOn as reason:
        return jsonify({"error": str(reason)}), 502
    except Exception:  # noqa: BLE001 - the page always gets an answer
        place = traceback.extract_tb(error.__traceback__)[-1]
        say(
            f"console: {request.url_rule} failed: {type(error).__name__} in {place.name}, "
            f"{Path(place.filename).name}:{place.lineno}"
        )
        return jsonify(
            {"error": "This is a bug in the console: report the line that its terminal shows."}
        ), 500


class ConsoleServer(ServerThread):
    """Serves the console on 127.0.0.1 inside a `with` block."""

    def __init__(self, console: Console, *, port: int, token: str, say: Say) -> None:
        """Port 0 means any free one. OSError if the port cannot be used."""
        with socket.create_server((HOST, port)) as listening:
            self.port: int = listening.getsockname()[1]
            guard = Guard(port=self.port, token=token, may_act=console.may_act)
            server = make_server(
                HOST,
                self.port,
                create_app(console, guard, say),
                threaded=True,
                request_handler=_Handler,
                fd=listening.fileno(),
            )
        super().__init__(server, name="console")
        self._token = token

    @property
    def address(self) -> str:
        """The address with the token, in the part that a browser never sends to a server."""
        return f"http://{HOST}:{self.port}/#token={self._token}"


class _Handler(WSGIRequestHandler):
    """Answers one request per connection."""

    #: How long it waits for a client that sends or reads nothing. Werkzeug gave it this name.
    timeout = 10

    def version_string(self) -> str:
        return "batchback"

    def parse_request(self) -> bool:
        """Refuse an address instead of a path: only proxies are sent one, and it would replace
        `Host`."""
        if super().parse_request() and self.path.startswith("/"):
            return True
        self.close_connection = True
        return False

    def log(self, *_: Any) -> None:
        """Do not log requests."""

    def log_request(self, *_: Any) -> None:
        """Do not let Werkzeug parse their paths for the log either."""

    def send_error(self, *_: Any) -> None:
        """End the connection. Only what is not HTTP comes here, so no browser waits."""
        self.close_connection = True
