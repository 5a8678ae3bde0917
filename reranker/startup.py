"""The first things that a command does, before it imports or opens anything.

No file of the working folder takes the place of a module that is imported, and no file that is opened takes the place
of a standard stream.
"""

# What is imported here is looked for in the working folder too, so it may only be what Python has already imported.
# ruff: noqa: PTH109, PTH120
import os
import sys

HOME = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
"""The folder that holds this package."""


def forget_working_folder() -> None:
    """Take the working folder out of the places where imports look before they look in the standard library.

    `python -m` puts it first, and so does an empty entry of PYTHONPATH, so that anybody's `torch`, `signal.py` or
    metadata of a package in it would be taken for the real one. Where it is the folder of this package, it stays: it
    may be all that is installed.
    """
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:
        return  # it was removed, and nothing is found in it
    library = os.path.dirname(os.__file__)
    end = sys.path.index(library) if library in sys.path else len(sys.path)
    if here != HOME:
        sys.path[:end] = [place for place in sys.path[:end] if os.path.realpath(place) != here]


def fill_standard_streams() -> None:
    """Open the null device for each standard stream that was closed before the start, as by ``<&-`` in a shell.

    The next file that is opened would get its number: what reads `/dev/stdin` would read that file, or wait for ever
    for a pipe of our own, and what a library writes to standard error would be written into a result.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
