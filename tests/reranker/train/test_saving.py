"""Writing checkpoints: a process killed at any moment leaves the old one or the new one."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from reranker import Reranker, checkpoint
from reranker.train.saving import write_json, write_tensors

ROOT = Path(__file__).parents[3]
LIST = ("which tide", ["The tide turns twice a day.", "A glacier moves slowly."])

KILLER = """
# Writes the checkpoint NEW over a copy of OLD, in one process for each moment, which is killed at that moment.
import os, pathlib, shutil, signal, sys, time
from reranker import checkpoint
from reranker.train.saving import write_checkpoint
from safetensors.torch import load_file

old, new, places = map(pathlib.Path, sys.argv[1:4])
files = checkpoint.find(new)
tensors = load_file(new / "model.safetensors")
CALLS = ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir", "open", "chmod")

def write(folder):
    write_checkpoint(folder, files.config, tensors, files)

def killed_at(moment):
    done = 0
    def counting(call):
        def counted(*arguments, **options):
            nonlocal done
            for after in (False, True):
                result = call(*arguments, **options) if after else None
                done += 1
                if done == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
            return result
        return counted
    for name in CALLS:
        setattr(os, name, counting(getattr(os, name)))

def child(folder, prepare):
    process = os.fork()
    if process == 0:
        prepare()
        write(folder)
        os._exit(0)
    return process

moment = 0
while True:
    moment += 1
    folder = pathlib.Path(shutil.copytree(old, places / f"call-{moment}"))
    _, status = os.waitpid(child(folder, lambda: killed_at(moment)), 0)
    if os.WIFEXITED(status):
        break
for number in range(12):
    folder = pathlib.Path(shutil.copytree(old, places / f"time-{number}"))
    process = child(folder, lambda: None)
    time.sleep(0.003 * number)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
for folder in list(places.iterdir()):
    write(pathlib.Path(shutil.copytree(folder, places / f"again-{folder.name}")))
"""


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_checkpoint(
    tiny_folder: Path, editable: Path, tmp_path: Path
) -> None:
    """The new one differs in its config, tokenizer, capacity and weights, so that a mixture would be told."""
    for name, key in (("config.json", "max_doc_length"), ("tokenizer_config.json", "model_max_length")):
        content = json.loads((editable / name).read_text()) | {key: 4096}
        (editable / name).write_text(json.dumps(content))
    vocabulary = json.loads((editable / "tokenizer.json").read_text())
    vocabulary["normalizer"] = None
    (editable / "tokenizer.json").write_text(json.dumps(vocabulary))
    tensors = load_file(editable / "model.safetensors")
    write_tensors(editable / "model.safetensors", {name: tensor * 1.5 for name, tensor in tensors.items()})
    places = tmp_path / "places"
    places.mkdir()
    command = [sys.executable, "-c", KILLER, str(tiny_folder), str(editable), str(places)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    found = {folder.name: checkpoint.find(folder).fingerprint(torch.float32) for folder in places.iterdir()}
    old = checkpoint.find(tiny_folder).fingerprint(torch.float32)
    new = found.pop("again-call-1")
    assert len(found) > 80
    assert Reranker.from_pretrained(places / "again-time-0", device="cpu").fingerprint == new
    assert set(found.values()) == {old, new}
    assert {fingerprint for name, fingerprint in found.items() if name.startswith("again-")} == {new}
    assert not [path for path in places.glob("again-*/*") if path.name.startswith(".") or path.suffix == ".part"]


def test_written_files_have_the_usual_mode(tiny_folder: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_tensors(tmp_path / "a.safetensors", load_file(tiny_folder / "model.safetensors"))
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"a.safetensors": 0o640, "a.json": 0o640}


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom reranker.train.saving import write_json\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_json(Path(sys.argv[1]), {'a': 'b' * 5000})"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert b"OSError" in answer.stderr
    assert json.loads(path.read_text()) == {"a": 1}
