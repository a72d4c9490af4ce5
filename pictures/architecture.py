"""Who calls whom, through which queues."""

from pictures.drawing import LINE, Drawing, Look, Palette, Point, width_of

ALT = (
    "Architecture. A caller's run reaches the function api through API Gateway. api saves the "
    "batch in the DynamoDB table batches, sends messages to the SQS queue jobs, and answers 200. "
    "run_jobs takes each message, calls the platform's API once per job, records the answers in "
    "the table, and sends a message to the queue callbacks after the last job. call_back then "
    "sends all answers in one callback to the receiver. Every minute sweep asks the table for due "
    "batches, and advance_batch, behind the queue batches, sends again what got lost. After three "
    "receives a message of jobs goes to the queue jobs-dead, where bury_jobs records the failure."
)
_HEIGHT = 548
_FRAME, _MAIN, _TABLE, _NET, _DEAD = 116, 162, 268, 362, 432  # the tops of the rows
_CALLER, _PLATFORM, _RECEIVER = 76, 286, 528  # the middles of the columns


def draw(palette: Palette) -> str:
    pen = Drawing(palette)
    pen.box((8, _FRAME), (584, 384), palette.panel, radius=12)
    pen.text((298, _FRAME + 28), "Your AWS account", palette.muted)
    _outside(pen)
    _main_line(pen)
    _table(pen)
    _safety_net(pen)
    _legend(pen)
    return pen.svg(_HEIGHT, "Architecture of Batchback")


def _outside(pen: Drawing) -> None:
    """What is outside the account, and the requests in between."""
    muted = pen.palette.muted
    for middle, width, name in (
        (_CALLER, 104, "Caller"),
        (_PLATFORM, 156, "Platform's API"),
        (_RECEIVER, 104, "Receiver"),
    ):
        pen.box((middle - width / 2, 12), (width, 44), pen.palette.outside, name)
    pen.arrow((_CALLER - 16, 56), (_CALLER - 16, _MAIN))
    pen.arrow((_CALLER + 16, _MAIN), (_CALLER + 16, 56))
    pen.box((12, _FRAME - 17), (132, 34), pen.palette.outside, "API Gateway")
    pen.arrow((_PLATFORM, _MAIN), (_PLATFORM, 56))
    pen.arrow((_RECEIVER, _MAIN), (_RECEIVER, 56))
    pen.text((_CALLER - 24, 84), "run", muted, anchor="end")
    pen.text((_CALLER + 24, 84), "200", muted)
    pen.text((_PLATFORM + 10, 84), "each job", muted)
    pen.text((_RECEIVER - 10, 84), "one callback", muted, anchor="end")


def _main_line(pen: Drawing) -> None:
    """From the request to the callback, from left to right."""
    function, queue = pen.palette.function, pen.palette.queue
    middle = _MAIN + 25
    pen.box((22, _MAIN), (108, 50), function, "api")
    pen.box((240, _MAIN), (92, 50), function, "run_jobs")
    pen.box((480, _MAIN), (96, 50), function, "call_back")
    _queue(pen, (155, middle), 60, "jobs", queue)
    _queue(pen, (357, middle), 98, "callbacks", queue)
    for start, end in ((130, 155), (215, 240), (332, 357), (455, 480)):
        pen.arrow((start, middle), (end, middle))


def _table(pen: Drawing) -> None:
    muted, middle = pen.palette.muted, (_MAIN + 50 + _TABLE) / 2 + 6
    pen.box(
        (22, _TABLE),
        (554, 58),
        pen.palette.table,
        "DynamoDB table batches",
        "jobs, answers, and the state of each batch",
    )
    pen.arrow((_CALLER, _MAIN + 50), (_CALLER, _TABLE))
    pen.arrow((_PLATFORM, _MAIN + 50), (_PLATFORM, _TABLE), both=True)
    pen.arrow((_RECEIVER, _MAIN + 50), (_RECEIVER, _TABLE), both=True)
    pen.text((_CALLER + 10, middle), "saves first", muted)
    pen.text((_PLATFORM + 10, middle), "records answers", muted)
    pen.text((_RECEIVER - 10, middle), "reads all", muted, anchor="end")


def _safety_net(pen: Drawing) -> None:
    """The functions that find stuck batches and end them."""
    function, queue = pen.palette.function, pen.palette.queue
    middle, dead = _NET + 22, _DEAD + 22
    pen.box((22, _NET), (76, 44), function, "sweep")
    _queue(pen, (120, middle), 92, "batches", queue)
    pen.box((234, _NET), (152, 44), function, "advance_batch")
    pen.arrow((60, _TABLE + 58), (60, _NET))
    pen.arrow((310, _TABLE + 58), (310, _NET), both=True)
    pen.arrow((98, middle), (120, middle))
    pen.arrow((212, middle), (234, middle))
    _explain(pen, (398, middle), "every minute: sends", "again what got lost")
    _queue(pen, (22, dead), 112, "jobs-dead", queue)
    pen.box((156, _DEAD), (112, 44), function, "bury_jobs")
    pen.arrow((134, dead), (156, dead))
    _explain(pen, (280, dead), "records the failure of jobs", "that kill their workers")


def _legend(pen: Drawing) -> None:
    """What the colors mean."""
    palette, left = pen.palette, 22.0
    for look, words in (
        (palette.function, "Lambda function"),
        (palette.queue, "SQS queue"),
        (palette.table, "DynamoDB table"),
    ):
        pen.box((left, _HEIGHT - 34), (18, 18), look, radius=5)
        pen.text((left + 26, _HEIGHT - 19), words, palette.muted)
        left += 26 + width_of(words) + 26


def _queue(pen: Drawing, left: Point, width: float, name: str, look: Look) -> None:
    pen.pill((left[0], left[1] - 17), (width, 34), look, name)


def _explain(pen: Drawing, left: Point, *lines: str) -> None:
    top = left[1] - (len(lines) - 1) * LINE / 2 + 6
    for index, line in enumerate(lines):
        pen.text((left[0], top + index * LINE), line, pen.palette.muted)
