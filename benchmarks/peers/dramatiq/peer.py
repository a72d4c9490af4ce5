"""dramatiq collects the results with a group and a completion callback, its own way of collecting
many tasks in order. `hashed.py` is the leaner way that you would write by hand.

- One process with as many threads as concurrent calls. Two processes with half as many each took a
  tenth less CPU and half as much memory again.
- The middleware is what the work needs (results, group callbacks), and retries, because nobody
  runs without them. Time limits, age limits and metrics are off: each inspects every message.
- hiredis parses the answers of Redis.
- Each thread has one requests.Session.
- Prefetch is dramatiq's default of two per thread.
"""

import threading
from typing import Any

import dramatiq
import requests
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks, Retries
from dramatiq.rate_limits.backends import RedisBackend as BarrierBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultBackend
from protocol import CALLBACK, REDIS, submit_as_told, together, url_of

results = ResultBackend(url=REDIS)
broker = RedisBroker(
    url=REDIS,
    middleware=[
        Retries(max_retries=3),
        GroupCallbacks(BarrierBackend(url=REDIS)),
        Results(backend=results),
    ],
)
dramatiq.set_broker(broker)


class Local(threading.local):
    """The state of each thread."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False


local = Local()


@dramatiq.actor(store_results=True)
def call(job: dict[str, Any]) -> str:
    return local.session.post(url_of(job), json=job["params"], timeout=30).text


@dramatiq.actor
def collect(ids: list[str]) -> None:
    template = call.message({})
    answers = [
        results.get_result(template.copy(message_id=id), block=True, timeout=10_000) for id in ids
    ]
    local.session.post(CALLBACK, data=together(answers), timeout=60)


def submit(jobs: list[dict[str, Any]]) -> None:
    messages = [call.message(job) for job in jobs]
    group = dramatiq.group(messages)
    group.add_completion_callback(collect.message([message.message_id for message in messages]))
    group.run()


if __name__ == "__main__":
    submit_as_told(submit)
