"""taskiq has no chord, so each task puts its answer into a hash, and the task that puts the last
one starts the collecting task. That takes one round trip to Redis per task, the least possible.

- The stream broker acknowledges messages, and took no more CPU than the list broker.
- There is no result backend, because the hash is the result.
- uvloop, and one aiohttp session for the worker with as many connections as concurrent calls.
- One worker process with AT_ONCE concurrent tasks, which prefetches as many again.
"""

from typing import Any

import aiohttp
from protocol import AT_ONCE, CALLBACK, REDIS, submit_as_told, together, url_of
from redis.asyncio import Redis
from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(url=REDIS)


class Kept:
    """What a worker creates once."""

    session: aiohttp.ClientSession
    redis: "Redis"


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(_: TaskiqState) -> None:
    Kept.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE))
    Kept.redis = Redis.from_url(REDIS, max_connections=2 * AT_ONCE)


@broker.task
async def call(batch: str, index: int, total: int, job: dict[str, Any]) -> None:
    async with Kept.session.post(url_of(job), json=job["params"]) as response:
        answer = await response.read()
    async with Kept.redis.pipeline(transaction=False) as pipe:
        pipe.hset(batch, str(index), answer)
        pipe.hlen(batch)
        _, done = await pipe.execute()
    if done == total:
        await collect.kiq(batch, total)


@broker.task
async def collect(batch: str, total: int) -> None:
    answers = await Kept.redis.hmget(batch, [str(index) for index in range(total)])
    await Kept.redis.delete(batch)
    await Kept.session.post(CALLBACK, data=together([answer.decode() for answer in answers]))


if __name__ == "__main__":
    import asyncio
    import uuid

    async def submit(jobs: list[dict[str, Any]]) -> None:
        batch = f"batch-{uuid.uuid4().hex}"
        for start in range(0, len(jobs), 100):
            await asyncio.gather(
                *(
                    call.kiq(batch, index, len(jobs), job)
                    for index, job in enumerate(jobs[start : start + 100], start)
                )
            )

    loop = asyncio.new_event_loop()
    loop.run_until_complete(broker.startup())
    submit_as_told(lambda jobs: loop.run_until_complete(submit(jobs)))
