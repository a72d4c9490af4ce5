"""dramatiq without its group: each task puts its answer into a hash, and the task that puts the
last one starts the collecting task. That takes half the CPU of a group with results. peer.py
explains the rest of the configuration.
"""

import threading
import uuid
from typing import Any

import dramatiq
import requests
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries
from protocol import CALLBACK, REDIS, submit_as_told, together, url_of
from redis import Redis

dramatiq.set_broker(RedisBroker(url=REDIS, middleware=[Retries(max_retries=3)]))
redis = Redis.from_url(REDIS)


class Local(threading.local):
    """The state of each thread."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False


local = Local()


@dramatiq.actor
def call(batch: str, index: int, total: int, job: dict[str, Any]) -> None:
    answer = local.session.post(url_of(job), json=job["params"], timeout=30).content
    with redis.pipeline(transaction=False) as pipe:
        pipe.hset(batch, str(index), answer)
        pipe.hlen(batch)
        _, done = pipe.execute()
    if done == total:
        collect.send(batch, total)


@dramatiq.actor
def collect(batch: str, total: int) -> None:
    answers = redis.hmget(batch, [str(index) for index in range(total)])
    redis.delete(batch)
    body = together([answer.decode() for answer in answers])
    local.session.post(CALLBACK, data=body, timeout=60)


def submit(jobs: list[dict[str, Any]]) -> None:
    batch = f"batch-{uuid.uuid4().hex}"
    for index, job in enumerate(jobs):
        call.send(batch, index, len(jobs), job)


if __name__ == "__main__":
    submit_as_told(submit)
