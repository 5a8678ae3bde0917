"""``python -m bench``."""

import sys


def run() -> None:
    """Run the command line; Ctrl-C while it is being imported ends it as at any other time."""
    from bench.ours import forget_working_folder

    forget_working_folder()
    try:
        from bench.cli import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        sys.exit(130)


if __name__ == "__main__":
    run()
