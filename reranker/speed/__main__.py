"""`python -m reranker.speed`."""

import sys

from reranker.startup import fill_standard_streams, forget_working_folder


def run() -> int:
    """Run the command; the working folder is forgotten and Ctrl-C prepared for before the imports that take seconds."""
    forget_working_folder()
    fill_standard_streams()
    from reranker import command

    command.end_at_once_on_interrupt()
    from reranker.speed.measure import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
