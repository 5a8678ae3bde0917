"""``python -m bench``."""

from bench.ours import fill_standard_streams, forget_working_folder, refuse_windows


def run() -> None:
    """Run the command line; Ctrl-C ends it at any moment, even while modules are imported."""
    forget_working_folder()
    fill_standard_streams()
    refuse_windows()
    # Only now: a `signal.py` of the user's would be taken for the library's.
    import signal

    from bench.interrupt import end_on_interrupt

    end_on_interrupt()
    try:
        from bench.cli import main

        main()
    finally:
        # The command is over: Ctrl-C ends the interpreter's own cleaning up in silence.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    run()
