"""RQ has no chord that scales (a job that depends on a thousand costs more than they do), so each
job puts its answer into a hash, and the job that puts the last one enqueues the collecting job.

- SimpleWorker does not fork for each job; forking is RQ's default and took five times as long.
- A worker runs one job at a time, so there are as many processes as concurrent calls.
- `result_ttl=0`, because the hash is the result. Jobs have no timeout, because requests has one.
- Each process has one requests.Session. Jobs are enqueued in one pipeline.
"""

import logging
import sys
import uuid
from multiprocessing import Process
from typing import Any

import requests
from protocol import AT_ONCE, CALLBACK, REDIS, submit_as_told, together, url_of
from redis import Redis
from rq import Queue, SimpleWorker

redis = Redis.from_url(REDIS)
queue = Queue("bench", connection=redis, default_timeout=-1)
session = requests.Session()
session.trust_env = False


def call(batch: str, index: int, total: int, job: dict[str, Any]) -> None:
    answer = session.post(url_of(job), json=job["params"], timeout=30).content
    with redis.pipeline(transaction=False) as pipe:
        pipe.hset(batch, str(index), answer)
        pipe.hlen(batch)
        _, done = pipe.execute()
    if done == total:
        queue.enqueue(collect, batch, total, result_ttl=0)


def collect(batch: str, total: int) -> None:
    answers = redis.hmget(batch, [str(index) for index in range(total)])
    redis.delete(batch)
    body = together([answer.decode() for answer in answers])
    session.post(CALLBACK, data=body, timeout=60)


def submit(jobs: list[dict[str, Any]]) -> None:
    batch = f"batch-{uuid.uuid4().hex}"
    queue.enqueue_many(
        [
            Queue.prepare_data("peer.call", [batch, index, len(jobs), job], result_ttl=0)
            for index, job in enumerate(jobs)
        ]
    )


def work() -> None:
    """Run a process for each concurrent call until this one's standard input ends."""
    logging.getLogger("rq").setLevel(logging.ERROR)
    children = [Process(target=work_one, daemon=True) for _ in range(AT_ONCE)]
    for child in children:
        child.start()
    sys.stdin.read()


def work_one() -> None:
    SimpleWorker([queue], connection=Redis.from_url(REDIS)).work(logging_level="ERROR")


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work()
    else:
        submit_as_told(submit)
