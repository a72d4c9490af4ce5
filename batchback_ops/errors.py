"""The error that stops an operator's command, besides CannotGoOn."""


class NotDone(Exception):
    """AWS or the state of the stage prevents it. The text is one sentence that says what to do; the
    exit status is REFUSED."""
