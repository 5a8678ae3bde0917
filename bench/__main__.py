"""``python -m bench``."""

import sys


def main() -> None:
    """Run a command; Ctrl-C while its modules load is one line, as it is later."""
    try:
        from bench.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
