"""Why a command cannot do what it was asked for, where that is somebody's to mend."""


class CannotGoOn(Exception):
    """The text is one sentence that says what to do."""
