"""A script with threads: it has no queue and stores nothing, so its jobs are lost when it dies. It
is the floor for programs that use requests: one session per thread."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from protocol import AT_ONCE, CALLBACK, submit_as_told, together, url_of

pool = ThreadPoolExecutor(AT_ONCE)


class Local(threading.local):
    """The state of each thread."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False


local = Local()


def call(job: dict[str, Any]) -> str:
    return local.session.post(url_of(job), json=job["params"], timeout=30).text


def run(jobs: list[dict[str, Any]]) -> None:
    local.session.post(CALLBACK, data=together([*pool.map(call, jobs)]), timeout=60)


if __name__ == "__main__":
    submit_as_told(run)
