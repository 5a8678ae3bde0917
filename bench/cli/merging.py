"""The command that merges the score caches of shards."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.help import MEASURE
from bench.cli.options import Output, app
from bench.cli.shared import record
from bench.console import say
from bench.errors import BenchError


@app.command(rich_help_panel=MEASURE)
def merge(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Folders with a score cache; by default those of OUTPUT/shards."),
    ] = None,
    output: Output = Path("out"),
) -> None:
    """Merge the score caches of commands that ran with --shard.

    --json: an object with records (how many are new), folders and output.
    """
    from bench.evaluation.cache import CACHE, score_cache
    from bench.evaluation.shards import SHARDS, shard_folders
    from bench.evaluation.shards import merge as merged

    chosen = folders or shard_folders(output)
    if not chosen:
        raise BenchError(f"{output / SHARDS} has no shards. Give a command's --shard I/N first, or name folders.")
    with score_cache(output) as scores:
        new = merged(scores, chosen)
    record({"records": new, "folders": chosen, "output": output / CACHE})
    say(f"{new:,} records of {len(chosen)} folders merged into {output / CACHE}. Give the command without --shard.")
