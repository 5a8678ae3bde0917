"""The errors that a user can fix."""


class BenchError(Exception):
    """Something the user gave, or a file or host the command needs, is not usable.

    The message says what is wrong, where, and what to do; the command line prints it without a traceback and ends
    with exit status 2.
    """
