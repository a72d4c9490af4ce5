"""A worker process: polls the queues over HTTP, as a Lambda container of its own would.

Its argument is the file descriptor of the service's clock. It ends when its standard input ends,
which happens when its parent closes it or is killed.
"""

import os
import signal
import sys
import threading

from batchback_local.clock import LocalClock
from batchback_local.log import ReadableLog, say

READY = b"ready\n"


def main() -> None:
    """Run until standard input ends. Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()
    clock = LocalClock(int(sys.argv[1]))
    answer_to, sys.stdout = sys.stdout.buffer, ReadableLog(sys.stderr, clock.now)

    from batchback_local.runtime.event_source import Running
    from batchback_local.runtime.service_code import event_sources, load_app

    sources = event_sources(load_app(clock), clock).queues()
    with Running(sources):
        answer_to.write(READY)
        answer_to.flush()
        threading.Event().wait()


def _leave_with_the_parent() -> None:
    os.read(0, 1)
    os._exit(0)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - the outermost wrapper logs one line
        say(f"A worker process cannot start ({type(error).__name__}): check the settings")
        os._exit(1)
