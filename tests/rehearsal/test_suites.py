"""Every suite from the hosts of its data, and what can go wrong on the way there."""

from pathlib import Path

import pytest

from bench.suites import SUITES, declared
from tests.conftest import Call
from tests.hub import Handler, Hub


@pytest.mark.fuzz
@pytest.mark.timeout(900)
@pytest.mark.parametrize("suite", SUITES)
def test_every_task(suite: str, bench: Call, hub: Hub, tmp_path: Path):
    names = [task.name for task in declared(suite) if not task.embedded]
    answer = bench(suite, *names, "-r", "first-stage", timeout=850)
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert len(list((tmp_path / "here" / "out").rglob("result.json"))) == len(names)
    asked = len(hub.asked)
    again = bench(suite, *names, "-r", "first-stage", timeout=850, env={"HF_HUB_OFFLINE": "1"})
    assert (again.returncode, again.stdout) == (0, answer.stdout), again.stderr[-3000:]
    assert hub.asked[asked:] == []


@pytest.mark.parametrize(
    ("task", "host"),
    [
        (("beir", "scifact"), "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets/scifact.zip"),
        (("mkqa", "ja"), "https://github.com/apple/ml-mkqa/raw/main/dataset/mkqa.jsonl.gz"),
    ],
)
def test_a_file_with_another_hash_is_refused(task: tuple[str, str], host: str, refused: Call, hub: Hub):
    def answer(handler: Handler) -> bool:
        if handler.host not in host:
            return False
        handler.reply(b"another file")
        return True

    hub.answer = answer
    refused(*task, "-r", "first-stage")
    assert any(host in each for each in hub.asked)


def test_another_count_is_refused(environment: dict[str, str], refused: Call, tmp_path: Path):
    """The small archive under its own hash, but with the declared counts of the real one."""
    told = Path(environment["REHEARSAL_TOLD"]).read_text()
    changed = tmp_path / "told.json"
    changed.write_text(told.replace('"beir/scifact": [5, 2, 3]', '"beir/scifact": [5, 300, 339]'))
    message = refused("beir", "scifact", "-r", "first-stage", env={"REHEARSAL_TOLD": str(changed)})
    assert "2 queries (expected 300), 3 judgements (expected 339)" in message
