"""A script with asyncio: it has no queue and stores nothing, so its jobs are lost when it dies. It
is the lowest floor, with uvloop and aiohttp (httpx took many times the CPU for each call)."""

import asyncio
from typing import Any

import aiohttp
import uvloop
from protocol import AT_ONCE, CALLBACK, submit_as_told, together, url_of

session: aiohttp.ClientSession


async def start() -> None:
    """Make the session, which needs the running loop."""
    global session
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE))


async def call(job: dict[str, Any]) -> str:
    async with session.post(url_of(job), json=job["params"]) as response:
        answer: str = await response.text()
        return answer


async def run(jobs: list[dict[str, Any]]) -> None:
    answers = await asyncio.gather(*map(call, jobs))
    await session.post(CALLBACK, data=together(answers))


if __name__ == "__main__":
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(start())
    submit_as_told(lambda jobs: loop.run_until_complete(run(jobs)))
