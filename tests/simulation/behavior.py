"""How a platform and a receiver behave: what a call brings, given how many came before it."""

from collections.abc import Callable
from typing import Literal

from chalicelib.domain.outcome import NoReply, Reply

#: "kill": whoever calls dies of it.
Brought = Reply | NoReply | Literal["kill"]
#: Of a job's index, and how often it was called before.
PlatformBehavior = Callable[[int, int], Brought]
#: Of how many posts came before.
ReceiverBehavior = Callable[[int], Brought]


def answers(index: int, before: int) -> Brought:
    """Every job gets its answer, and a different one each time it is called, so that an answer
    that was exchanged for another shows."""
    return Reply(status=200, body=f'{{"job":{index},"call":{before}}}'.encode())


def failing(job: int, times: int, reply: Reply | NoReply | None = None) -> PlatformBehavior:
    """One job fails for now so many times; after more than five it stays unanswered."""

    def behave(index: int, before: int) -> Brought:
        fails = index == job and before < times
        return (reply or Reply(status=500)) if fails else answers(index, before)

    return behave


def failing_for_good(*jobs: int) -> PlatformBehavior:
    """Some jobs, or all if none is named, have an error for an answer; it is their own, too."""

    def behave(index: int, before: int) -> Brought:
        body = f'{{"job":{index},"call":{before}}}'.encode()
        fails = not jobs or index in jobs
        return Reply(status=404, body=body) if fails else answers(index, before)

    return behave


def busy(*seconds: int) -> PlatformBehavior:
    """The platform asks to wait for so long, and then so long, and then it answers."""
    return busy_by_job(seconds)


def busy_by_job(*of_jobs: tuple[int, ...]) -> PlatformBehavior:
    """The same, for the first job and the second, and so on in turn."""

    def behave(index: int, before: int) -> Brought:
        seconds = of_jobs[index % len(of_jobs)]
        if before >= len(seconds):
            return answers(index, before)
        return Reply(status=429, retry_after=str(seconds[before]))

    return behave


def unreachable(job: int, times: int) -> PlatformBehavior:
    """One job stays unanswered so many times, each after a single call."""
    return failing(job, times, NoReply(reason="no such host", is_final=True))


def poison(job: int) -> PlatformBehavior:
    """One job kills every worker that runs it."""

    def behave(index: int, before: int) -> Brought:
        return "kill" if index == job else answers(index, before)

    return behave


def takes(before: int) -> Brought:
    return Reply(status=200)


def kills(before: int) -> Brought:
    """Whoever sends the callback dies of it, each time."""
    return "kill"


def refusing(times: int, reply: Reply | NoReply | None = None) -> ReceiverBehavior:
    """The receiver is down for so many attempts."""

    def behave(before: int) -> Brought:
        down = reply or NoReply(reason="no connection")
        return down if before < times else Reply(status=200)

    return behave
