"""How a platform and a receiver behave: what a call gets, given how many calls came before it."""

from collections.abc import Callable
from typing import Literal

from chalicelib.domain.outcome import NoReply, Reply

#: "kill" kills the caller.
Outcome = Reply | NoReply | Literal["kill"]
#: Takes a job's index and how often it was called before.
PlatformBehavior = Callable[[int, int], Outcome]
#: Takes how many posts came before.
ReceiverBehavior = Callable[[int], Outcome]


def answers(index: int, before: int) -> Outcome:
    """Every job gets its answer, a different one at each call, so that a swapped answer is
    noticed."""
    return Reply(status=200, body=f'{{"job":{index},"call":{before}}}'.encode())


def failing(job: int, times: int, reply: Reply | NoReply | None = None) -> PlatformBehavior:
    """One job fails this many times; after more than five it stays unanswered."""

    def behave(index: int, before: int) -> Outcome:
        fails = index == job and before < times
        return (reply or Reply(status=500)) if fails else answers(index, before)

    return behave


def failing_for_good(*jobs: int) -> PlatformBehavior:
    """Some jobs, or all if none is named, get an error as their answer, a different one each."""

    def behave(index: int, before: int) -> Outcome:
        body = f'{{"job":{index},"call":{before}}}'.encode()
        fails = not jobs or index in jobs
        return Reply(status=404, body=body) if fails else answers(index, before)

    return behave


def busy(*seconds: int) -> PlatformBehavior:
    """The platform asks for each of these waits in turn, and then answers."""
    return busy_by_job(seconds)


def busy_by_job(*of_jobs: tuple[int, ...]) -> PlatformBehavior:
    """The same, with separate waits for each job in turn."""

    def behave(index: int, before: int) -> Outcome:
        seconds = of_jobs[index % len(of_jobs)]
        if before >= len(seconds):
            return answers(index, before)
        return Reply(status=429, retry_after=str(seconds[before]))

    return behave


def unreachable(job: int, times: int) -> PlatformBehavior:
    """One job stays unanswered this many times, each time after a single call."""
    return failing(job, times, NoReply(reason="no such host", is_final=True))


def poison(job: int) -> PlatformBehavior:
    """One job kills every worker that runs it."""

    def behave(index: int, before: int) -> Outcome:
        return "kill" if index == job else answers(index, before)

    return behave


def takes(before: int) -> Outcome:
    return Reply(status=200)


def kills(before: int) -> Outcome:
    """Sending the callback kills the sender every time."""
    return "kill"


def refusing(times: int, reply: Reply | NoReply | None = None) -> ReceiverBehavior:
    """The receiver is down for this many attempts."""

    def behave(before: int) -> Outcome:
        down = reply or NoReply(reason="no connection")
        return down if before < times else Reply(status=200)

    return behave
