from pathlib import Path

import pytest

from tests.bench.tiny_generators import KINDS, write_model


@pytest.fixture(scope="session")
def models_by_kind(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: write_model(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}
