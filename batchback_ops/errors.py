"""What stops an operator's command, beside CannotGoOn."""


class NotDone(Exception):
    """AWS, or what is in the stage, stands against it; the text is one sentence that says what to
    do. The exit status is REFUSED."""
