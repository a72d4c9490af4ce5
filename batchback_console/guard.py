"""Decides who may call the console, and sets the headers of every answer.

Other pages in the same browser, and other users of the machine, can send requests to 127.0.0.1 too.
They do not have the token, which is new at each start. A page of another site is refused even with
the token, and so is another host name that an attacker's DNS resolves to 127.0.0.1.
"""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask, Request, Response, abort, request

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: The POST requests that change nothing.
_READING = frozenset({"/api/stage/doctor"})


#: The blueprint whose files need no token, because they contain no data. Everything else does.
PAGE = "page"
_TOKEN_BYTES = 32


def new_token(random_bytes: Callable[[int], bytes]) -> str:
    """A token that nobody can guess, in characters that an address may contain."""
    return base64.urlsafe_b64encode(random_bytes(_TOKEN_BYTES)).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Refuses every request that does not come from the console's own page."""

    #: The port that the console listens on.
    port: int
    token: str = field(repr=False)
    #: Whether requests may change anything.
    may_act: bool

    def protect(self, app: Flask) -> None:
        app.before_request(self._check)
        app.after_request(_with_headers)

    def _check(self) -> None:
        """Let the request pass, or raise the HTTP error that it gets."""
        self._check_place(request)
        if request.blueprint != PAGE:
            self._check_token(request)
        if request.method == "POST":
            self._check_change(request)

    def _check_place(self, asked: Request) -> None:
        """Refuse other names of this machine, other sites, and methods that nothing needs."""
        if asked.headers.get("Host") not in self._hosts:
            abort(421, "Open the console with the address that the terminal printed.")
        if asked.method not in {"GET", "POST"}:
            abort(405, description="The console answers only GET and POST.")
        origin = asked.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            abort(403, "The console answers only its own page.")

    def _check_token(self, asked: Request) -> None:
        if asked.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
            abort(403, "The console answers only its own page.")
        given = asked.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            abort(
                401,
                "Open the console with the address that the terminal printed: it contains a new "
                "token after each start.",
            )

    def _check_change(self, asked: Request) -> None:
        if asked.mimetype != "application/json":
            abort(415, "Send JSON, with Content-Type: application/json.")
        if not self.may_act and asked.path not in _READING:
            abort(
                403, "This console is read-only: start it with --allow-actions to change anything."
            )

    @property
    def _hosts(self) -> frozenset[str]:
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})


def _with_headers(answer: Response) -> Response:
    answer.headers.update(_HEADERS)
    return answer
