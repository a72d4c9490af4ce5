"""A small and complete receiver of callbacks in Python.

    pip install standardwebhooks
    CALLBACK_SECRET=whsec_... python receiver.py 8080 callbacks.db

It verifies the signature of the raw body, stores each callback once by its webhook-id, answers, and
only then processes it. When it starts, it resumes unfinished callbacks. It forgets ids once the
same callback can no longer come. It listens only on this machine: put an HTTPS server in front.
"""

import base64
import json
import os
import re
import sqlite3
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

#: The largest callback that the service sends.
MOST_BYTES = 50_000_000
#: How long to remember an id: the 60 hours that a batch lives, and a margin. Increase it if batches
#: of your service live longer (EXPIRY_HOURS).
REMEMBERED_HOURS = 60 + 12


def work(callback: dict[str, Any]) -> None:
    """Process a callback: replace this with your own code. If it raises an exception or the machine
    goes down, it gets the callback again."""
    print(callback["asyncId"], len(callback["results"]), "results", flush=True)


def key_of(secret: str | None) -> bytes | None:
    """The key in a secret, or None if the secret is empty, too short or malformed."""
    try:
        key = base64.b64decode((secret or "").removeprefix("whsec_"), validate=True)
    except ValueError:
        return None
    is_whole = secret == "whsec_" + base64.b64encode(key).decode()
    return key if is_whole and 24 <= len(key) <= 64 else None


def is_genuine(headers: dict[str, str], body: bytes, secret: str | None) -> bool:
    """Whether exactly these bytes were signed with the secret in the last five minutes."""
    key = key_of(secret)
    if key is None:
        return False
    try:
        Webhook(key).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: malformed headers
        return False
    return True


class Inbox:
    """The received callbacks, in a file. After a callback is processed, only its id is kept."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS callbacks (id TEXT PRIMARY KEY, came_at REAL, body BLOB)"
        )

    def put(self, id: str, body: bytes) -> None:
        """Store a callback unless it is already there, processed or not."""
        now = time.time()
        oldest = now - REMEMBERED_HOURS * 3600
        self._database.execute(
            "DELETE FROM callbacks WHERE body IS NULL AND came_at < ?", (oldest,)
        )
        self._database.execute("INSERT OR IGNORE INTO callbacks VALUES (?, ?, ?)", (id, now, body))

    def work_off(self) -> None:
        waiting = self._database.execute("SELECT id FROM callbacks WHERE body IS NOT NULL")
        for (id,) in waiting.fetchall():
            try:
                self._work_on(id)
            except Exception:
                traceback.print_exc()

    def _work_on(self, id: str) -> None:
        found = self._database.execute("SELECT body FROM callbacks WHERE id = ?", (id,))
        work(json.loads(found.fetchone()[0]))
        self._database.execute("UPDATE callbacks SET body = NULL WHERE id = ?", (id,))


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, secret: str, path: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.secret = secret
        self.inbox = Inbox(path)
        self.something_came = threading.Event()
        self.something_came.set()  # there may be unfinished callbacks from before a restart
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while self.something_came.wait():
            self.something_came.clear()
            self.inbox.work_off()


class Handler(BaseHTTPRequestHandler):
    server: Receiver
    timeout = 30  # seconds without a byte

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length):
            self._answer(411)
        elif int(length) > MOST_BYTES:
            self._answer(413)
        else:
            self._receive(self.rfile.read(int(length)))

    def _receive(self, body: bytes) -> None:
        if not is_genuine(dict(self.headers.items()), body, self.server.secret):
            self._answer(401)
            return
        self.server.inbox.put(self.headers["webhook-id"], body)
        self._answer(204)
        self.server.something_came.set()

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing, because strangers could fill the log."""


if __name__ == "__main__":
    secret = os.environ.get("CALLBACK_SECRET", "")
    if len(sys.argv) != 3 or key_of(secret) is None:
        sys.exit(
            "Usage: CALLBACK_SECRET=whsec_... python receiver.py PORT FILE, with a full secret"
        )
    receiver = Receiver(int(sys.argv[1]), secret, sys.argv[2])
    print(f"listening on http://127.0.0.1:{receiver.server_port}", flush=True)
    receiver.serve_forever()
