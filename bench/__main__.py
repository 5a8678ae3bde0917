"""``python -m bench``."""

import sys

from bench.ours import fill_standard_streams, forget_working_folder


def run() -> None:
    """Run the command line; Ctrl-C ends it at any moment, while it is being imported too."""
    forget_working_folder()
    fill_standard_streams()
    # Only now: a `signal.py` of the user's would be taken for the library's.
    import signal

    from bench.errors import Stopped
    from bench.evaluation.interrupt import interruptible

    sys.unraisablehook = _without_interrupts
    try:
        with interruptible():
            from bench.cli import main

            main()
    except Stopped as stopped:
        sys.stderr.write(f"{stopped}\n")
        sys.exit(130)
    finally:
        # The command is over, and the interpreter's own end has nothing to say about Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _without_interrupts(unraisable: "sys.UnraisableHookArgs") -> None:
    """Keep silent about Ctrl-C in a callback or destructor, where nothing can be raised: it is heard all the same."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    run()
