"""The names of the tables of a data set, which mteb asks for before it loads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any


@contextmanager
def all_tables() -> Iterator[None]:
    """Have mteb find all tables of a data set where the hub cannot be reached, too.

    It loads candidates and instructions only if `datasets` names their tables, and without the hub `datasets` names a
    single table of those in its cache: reranking would fail, and instructions would be left out without a word. The
    data set's card, which is in the hub's cache, names them all.
    """
    loaders: Any = import_module("mteb.abstasks.retrieval_dataset_loaders")
    asked = loaders.get_dataset_config_names
    loaders.get_dataset_config_names = lambda path, revision: _on_card(path, revision) or asked(path, revision)
    try:
        yield
    finally:
        loaders.get_dataset_config_names = asked


def _on_card(path: str, revision: str) -> list[str]:
    """The tables that the cached card of a hub's data set lists; empty without a card, or where it lists none."""
    from huggingface_hub import DatasetCard, try_to_load_from_cache

    if Path(path).is_dir():
        return []
    card = try_to_load_from_cache(path, "README.md", repo_type="dataset", revision=revision)
    if not isinstance(card, str):
        return []
    listed: Any = DatasetCard.load(card, ignore_metadata_errors=True).data.get("configs")
    return [str(each["config_name"]) for each in listed or () if "config_name" in each]
