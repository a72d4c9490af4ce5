"""Runs a server of the standard library while the rest of the program goes on."""

import threading
from socketserver import TCPServer
from typing import Self

#: How often a server checks whether it should stop.
_POLL_SECONDS = 0.05


class ServerThread:
    """Serves in a thread inside a `with` block, and closes the server at its end. The thread does
    not keep the process alive."""

    def __init__(self, server: TCPServer, *, name: str) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_POLL_SECONDS,), name=name, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
