"""The commands that score share their options."""

import pytest
import typer

from bench.cli import app

COMMANDS = typer.main.get_command(app).commands


def options(command: str) -> set[str]:
    return {option for parameter in COMMANDS[command].params for option in parameter.opts if option.startswith("-")}


@pytest.mark.parametrize("command", ["miracl", "mkqa", "coir", "folder", "irds", "mteb"])
def test_every_measuring_command_has_the_options_of_the_others(command: str) -> None:
    own = {"--data", "--source", "--embedded", "--split"}
    assert options("beir") - own <= options(command)
    assert {"-r", "--depth", "--device", "--workers", "--shard", "--price", "--dry-run", "--json"} <= options(command)


def test_sensitivity_measures_one_reranker() -> None:
    assert {"-r", "--first-stage", "--depth", "--device", "--cache-id", "--workers", "--ray"} <= options("sensitivity")
    assert not {"--shard", "--measure", "--dry-run", "--latency"} & options("sensitivity")
