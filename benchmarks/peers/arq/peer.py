"""arq has no chord, so each job puts its answer into a hash, and the job that puts the last one
enqueues the collecting job. That takes one round trip to Redis per job, the least possible.

- uvloop, and one aiohttp session for the worker with as many connections as concurrent jobs.
- `poll_delay` of 10 ms, because the default lets a worker sleep half a second. A poll reads as many
  ids as the worker may run. With 100 ms it took as much CPU and twice the time.
- `keep_result=0`, because the hash is the result. `health_check_interval` of a minute.
- `run_worker` starts the worker, because the command line would log two lines for each job.
"""

import asyncio
import sys
import uuid
from typing import Any, ClassVar

import aiohttp
import uvloop
from arq import create_pool, run_worker
from arq.connections import RedisSettings
from protocol import AT_ONCE, CALLBACK, REDIS, submit_as_told, together, url_of


async def start(context: dict[str, Any]) -> None:
    context["session"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE))


async def call(
    context: dict[str, Any], batch: str, index: int, total: int, job: dict[str, Any]
) -> None:
    async with context["session"].post(url_of(job), json=job["params"]) as response:
        answer = await response.read()
    async with context["redis"].pipeline(transaction=False) as pipe:
        pipe.hset(batch, str(index), answer)
        pipe.hlen(batch)
        _, done = await pipe.execute()
    if done == total:
        await context["redis"].enqueue_job("collect", batch, total)


async def collect(context: dict[str, Any], batch: str, total: int) -> None:
    answers = await context["redis"].hmget(batch, [str(index) for index in range(total)])
    await context["redis"].delete(batch)
    body = together([answer.decode() for answer in answers])
    await context["session"].post(CALLBACK, data=body)


class WorkerSettings:
    functions: ClassVar = [call, collect]
    on_startup = start
    redis_settings = RedisSettings.from_dsn(REDIS)
    max_jobs = AT_ONCE
    poll_delay = 0.01
    queue_read_limit = AT_ONCE
    keep_result = 0
    health_check_interval = 60


async def submit(pool: Any, jobs: list[dict[str, Any]]) -> None:
    batch = f"batch-{uuid.uuid4().hex}"
    for start_at in range(0, len(jobs), 100):
        await asyncio.gather(
            *(
                pool.enqueue_job("call", batch, index, len(jobs), job)
                for index, job in enumerate(jobs[start_at : start_at + 100], start_at)
            )
        )


if __name__ == "__main__":
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    if sys.argv[1] == "work":
        run_worker(WorkerSettings)
    else:
        pool = loop.run_until_complete(create_pool(RedisSettings.from_dsn(REDIS)))
        submit_as_told(lambda jobs: loop.run_until_complete(submit(pool, jobs)))
