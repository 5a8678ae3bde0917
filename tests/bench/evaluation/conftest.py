"""What the tests of workers share: a folder in which commands are started, and what one process gives there."""

from pathlib import Path
from typing import Any

import pytest

from tests.bench.evaluation.workplace import Place


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Place:
    return Place(tmp_path, environment)


@pytest.fixture
def truth(place: Place) -> Any:
    """The outcome in one process."""
    return place.undisturbed()
