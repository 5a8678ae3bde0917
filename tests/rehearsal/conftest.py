"""The hosts, written once a test run, and processes as users start them, for which they are the internet."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.conftest import ROOT
from tests.hub import Hub, Repository, proxied, started


@dataclass(frozen=True, slots=True)
class Hosts:
    """What is served, in a folder that all tests read and none writes."""

    sites: Path
    repositories: dict[str, Repository]
    told: Path


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    """Every model and collection, written by the first of the test processes that needs them."""
    from tests.rehearsal.collections import collections, told
    from tests.rehearsal.models import repositories
    from tests.rehearsal.others import add_others

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rehearsal"
    index = root / "repositories.json"
    with FileLock(f"{root}.lock"):
        if not index.exists():
            world = collections(root)
            add_others(world)
            told(world, root / "told.json")
            found = world.repositories | repositories(root / "models")
            index.write_text(json.dumps({key: (str(each.folder), each.commit) for key, each in found.items()}))
    listed = json.loads(index.read_text())
    served = {key: Repository(Path(folder), commit) for key, (folder, commit) in listed.items()}
    return Hosts(root / "sites", served, root / "told.json")


@pytest.fixture
def hub(hosts: Hosts, tmp_path: Path) -> Iterator[Hub]:
    """The server under the names of all hosts."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    with started(Hub(hosts.repositories, hosts.sites), secrets) as server:
        yield server


@pytest.fixture
def environment(environment: dict[str, str], hub: Hub, hosts: Hosts) -> dict[str, str]:
    """An empty machine whose only network is the server."""
    path = os.pathsep.join([str(Path(__file__).parent / "told"), str(ROOT)])
    more = {"PYTHONPATH": path, "REHEARSAL_TOLD": str(hosts.told), "IR_DATASETS_DL_TRIES": "2", "OMP_NUM_THREADS": "1"}
    return proxied(hub, environment) | more
