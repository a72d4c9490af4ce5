"""The life of a batch, from the call to its callback, from top to bottom."""

from dataclasses import dataclass

from pictures.drawing import LINE, SIZE, WIDTH, Drawing, Palette, width_of

ALT = (
    "The life of a batch, with the condition of each write. api puts the head, if there is none. "
    "run_jobs records answers under the next number, if it is free; adds the chunk to done, if it "
    "is not there; and completes the batch, if it is running. call_back takes the lease, if the "
    "callback is waiting, and records delivered, if the lease is still its own."
)
_LEFT, _WEST, _EAST, _RIGHT = 118, 242, 342, 480  # the edges of the three columns
_TOP = 14
_STEP = 38


@dataclass(slots=True)
class _Life:
    pen: Drawing
    y: float = _TOP

    def caller(self, words: str, *, out: bool = False) -> None:
        """An arrow between a function and the caller, the platform or the receiver."""
        self.y += _STEP
        ends = ((_WEST, self.y), (_LEFT, self.y)) if out else ((_LEFT, self.y), (_WEST, self.y))
        self.pen.arrow(*ends)
        self._label((_LEFT + _WEST) / 2, words)

    def table(self, words: str, condition: str = "", *, read: bool = False) -> None:
        """An arrow between a function and the table, with the condition of a write below it."""
        self.y += _STEP
        ends = ((_RIGHT, self.y), (_EAST, self.y)) if read else ((_EAST, self.y), (_RIGHT, self.y))
        self.pen.arrow(*ends)
        self._label((_EAST + _RIGHT) / 2, words)
        if condition:
            at = ((_EAST + _RIGHT) / 2, self.y + SIZE)
            self.pen.text(at, condition, self.pen.palette.muted, anchor="middle")
            self.y += 18

    def send(self, queue: str) -> float:
        """A message to a queue. Return where it leaves the queue."""
        self.y += _STEP
        width = width_of(queue, bold=True) + 14
        self.pen.arrow((_EAST, self.y), (_EAST + 22, self.y))
        corner = (_EAST + 22, self.y - 16)
        self.pen.pill(corner, (width, 32), self.pen.palette.queue, queue)
        return _EAST + 22 + width / 2

    def receive(self, queue: float, left: float) -> None:
        """The message, from below the queue into a function."""
        self.pen.arrow((queue, left), (queue, self.y + 26), (_EAST, self.y + 26))
        self.y += 26

    def _label(self, middle: float, words: str) -> None:
        at = (middle, self.y - 7)
        self.pen.text(at, words, self.pen.palette.page.text, anchor="middle")


def draw(palette: Palette) -> str:
    front, back = Drawing(palette), Drawing(palette)
    life = _Life(front)
    api = life.y
    life.caller("run")
    life.table("terms, jobs")
    life.table("head", "if there is none")
    commit = life.y = life.y + 18
    jobs, jobs_y = life.send("jobs"), life.y
    life.caller("200, asyncId", out=True)
    _part(back, api, life.y + 16, "api", "Caller")

    run_jobs = life.y + 34
    life.y = run_jobs
    life.receive(jobs, jobs_y + 16)
    life.table("head, chunk", read=True)
    life.caller("each job", out=True)
    life.caller("its answer")
    life.table("answers", "if not there yet")
    life.table("chunk is done", "if it is not yet")
    life.table("completed", "if running")
    callbacks, callbacks_y = life.send("callbacks"), life.y
    _part(back, run_jobs, life.y + 24, "run_jobs", "Platform's|API")

    call_back = life.y + 44
    life.y = call_back
    life.receive(callbacks, callbacks_y + 16)
    life.table("lease, attempt", "if waiting")
    life.table("all, in order", read=True)
    life.caller("one callback", out=True)
    life.caller("2xx")
    life.table("delivered", "if lease is ours")
    _part(back, call_back, life.y + 12, "call_back", "Receiver")

    bottom = life.y + 12
    _table(back, bottom)
    _commit(back, commit)
    front.shapes[:0] = back.shapes
    return front.svg(bottom + 14, "The life of a batch")


def _part(pen: Drawing, top: float, bottom: float, function: str, outside: str) -> None:
    """A function, and the caller, platform or receiver beside it."""
    pen.box((_WEST, top), (_EAST - _WEST, bottom - top), pen.palette.function)
    at = ((_WEST + _EAST) / 2, top + 26)
    pen.text(at, function, pen.palette.function.text, anchor="middle", bold=True)
    pen.box((12, top), (_LEFT - 12, bottom - top), pen.palette.outside)
    for index, line in enumerate(outside.split("|")):
        at = ((12 + _LEFT) / 2, top + 26 + index * LINE)
        pen.text(at, line, pen.palette.outside.text, anchor="middle", bold=True)


def _table(pen: Drawing, bottom: float) -> None:
    width = WIDTH - 10 - _RIGHT
    pen.box((_RIGHT, _TOP), (width, bottom - _TOP), pen.palette.table)
    at = (_RIGHT + width / 2, _TOP + 26)
    pen.text(at, "DynamoDB", pen.palette.table.text, anchor="middle", bold=True)


def _commit(pen: Drawing, y: float) -> None:
    """The line below which nothing can be lost any more."""
    green = pen.palette.table
    pen.line([(12, y), (WIDTH - 12, y)], green.stroke, thick=2, dash="6 4")
    pen.text(((_LEFT + _WEST) / 2, y - 9), "commit", green.text, anchor="middle", bold=True)
    pen.text(((_LEFT + _WEST) / 2, y + 22), "now it is safe", green.text, anchor="middle")
