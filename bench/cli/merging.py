"""The command that merges the score caches of shards."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.help import MEASURE
from bench.cli.options import Output, app
from bench.cli.shared import record
from bench.console import note, say
from bench.errors import BenchError
from bench.escape import shell_word


@app.command(rich_help_panel=MEASURE)
def merge(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Folders of shards, or outputs with shards; by default OUTPUT's shards."),
    ] = None,
    output: Output = Path("out"),
) -> None:
    """Merge the score caches of commands that ran with --shard.

    --json: an object with records (how many are new), folders and output.
    """
    from bench.evaluation.cache import CACHE, score_cache
    from bench.evaluation.shards import SHARDS, shard_folders
    from bench.evaluation.shards import merge as merged

    chosen = [cache for folder in folders or [] for cache in _caches(folder, output)] or shard_folders(output)
    if not chosen:
        raise BenchError(f"{output / SHARDS} has no shards. Give a command's --shard I/N first, or name folders.")
    with score_cache(output) as scores:
        new = merged(scores, chosen)
    record({"records": new, "folders": chosen, "output": output / CACHE})
    caches = "1 cache" if len(chosen) == 1 else f"{len(chosen)} caches"
    say(f"Merged {caches} into {output / CACHE}; new records: {new:,}.")
    note(f"Next: the same command without --shard, with --output {shell_word(str(output))}")


def _caches(folder: Path, output: Path) -> list[Path]:
    """The folders with a score cache that a folder means: an output means its shards, and its own cache if it has one.

    A folder without any is given back, for the message that says so.
    """
    from bench.evaluation.cache import CACHE
    from bench.evaluation.shards import shard_folders

    shards = shard_folders(folder)
    is_source = folder.resolve() != output.resolve() and ((folder / CACHE).is_file() or not shards)
    return [*shards, folder] if is_source else shards
