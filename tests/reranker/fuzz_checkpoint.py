"""Damages a checkpoint's files at random, loads it and scores with it: `fuzz_checkpoint.py CHECKPOINT FIRST LAST`.

Prints the number of each mutant before it is tried, so that one that ends the process is known, and ends with status 1
where a mutant gives anything but scores or a `RerankerError`.
"""

import json
import random
import resource
import shutil
import struct
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from reranker import Reranker, RerankerError

LIST = ("which tide 12", ["The tide turns twice a day.", "\nA glacier, 3 miles; ünïcode 漢字", "", "query"])
MEMORY = 12 * 1024**3  # bytes of address space
HOSTILE: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        3,
        7,
        2**31,
        2**31 - 1,
        2**32,
        2**63,
        2**64,
        10**30,
        -(10**30),
        0.5,
        1e308,
        1e-308,
    ),
    *("", "x", "é", "\0", "a" * 5000, "../../x", "/etc/passwd", "evil.payload", "xielu", "linear", "yarn", "dynamic"),
    *("BPE", "WordPiece", "Unigram", "WordLevel", "NFC", "Sequence", "ByteLevel", "Isolated", "(((", "(a*)*b", "[UNK]"),
    *([], {}, [[]], [None], ["x"], [0], {"x": 1}, {"type": "Sequence"}, {"type": "Split", "pattern": {"Regex": "("}}),
    *([[1, 2], [3]], ["full_attention"], ["sliding_attention"] * 4, [2**31, 2**31], [0, 0], [-1]),
]
BYTES = [b"\0", b"\xff", b'"', b"{", b"}", b"[" * 3000, b"9" * 400, b"1e999", b"NaN", b"-", b",", b'"a":1,', b"\\ud800"]
NAMES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "model.safetensors.index.json")


def places(value: Any, limit: int = 60) -> list[tuple[Any, Any]]:
    """Containers and keys all over a JSON value; of a large container, some keys alone."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict | list):
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            for key in keys[:limit]:
                found.append((inner, key))
                waiting.append(inner[key])
    return found


def mutate_json(content: Any, source: random.Random) -> bytes:
    for _ in range(source.choice((1, 1, 1, 2, 4))):
        spots = places(content)
        if not spots:
            break
        holder, key = source.choice(spots)
        kind = source.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[source.choice(["attn_implementation", "rope_scaling", "head_dim", "x", "padding"])] = source.choice(
                HOSTILE
            )
        elif kind == 2 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            holder[key] = source.choice([-holder[key], holder[key] + 1, holder[key] * 2**20, holder[key] / 3, 0])
        else:
            holder[key] = source.choice(HOSTILE)
    return json.dumps(content).encode()


def mutate_bytes(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(changed) + 1)
        kind = source.randrange(4)
        if kind == 0 and at < len(changed):
            changed[at] = source.randrange(256)
        elif kind == 1:
            del changed[at : at + source.randint(1, 200)]
        elif kind == 2:
            changed[at:at] = source.choice(BYTES)
        elif source.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def mutate_weights(data: bytes, source: random.Random) -> bytes:
    """Change the head of a safetensors file, and keep its length right most of the time."""
    length = struct.unpack("<Q", data[:8])[0]
    head, rest = data[8 : 8 + length], data[8 + length :]
    head = mutate_json(json.loads(head), source) if source.random() < 0.7 else mutate_bytes(head, source)
    told = len(head) if source.random() < 0.9 else source.choice([0, 1, 2**63, 2**31, len(head) + 1])
    return struct.pack("<Q", told) + head + rest


def mutate(folder: Path, source: random.Random) -> None:
    name = source.choice(NAMES)
    path = folder / name
    if name == "model.safetensors.index.json":
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        index = {"metadata": {"total_size": 1}, "weight_map": {f"t{n}": "model-1.safetensors" for n in range(3)}}
        path.write_text(json.dumps(index))
    data = path.read_bytes()
    path.unlink()  # it may be a link to the whole checkpoint's own
    if name == "model.safetensors":
        path.write_bytes(mutate_weights(data, source))
    elif source.random() < 0.75:
        path.write_bytes(mutate_json(json.loads(data), source))
    else:
        path.write_bytes(mutate_bytes(data, source))


def attempt(folder: Path) -> str:
    try:
        [scores] = Reranker.from_pretrained(folder, device="cpu").score([LIST])
        return "scored" if len(scores) == len(LIST[1]) else "WRONG number of scores"
    except RerankerError:
        return "refused"
    except BaseException:  # noqa: BLE001  (also a panic of a Rust library, which is no Exception)
        return "FAILED\n" + traceback.format_exc()


def main() -> int:
    checkpoint, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    found: Counter[str] = Counter()
    for number in range(first, last):
        print(f"mutant {number}", flush=True)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "checkpoint"
            folder.mkdir()
            for path in checkpoint.iterdir():
                if path.suffix == ".json":
                    shutil.copy(path, folder)
                else:
                    (folder / path.name).symlink_to(path.resolve())
            mutate(folder, random.Random(number))
            answer = attempt(folder)
        found[answer.partition("\n")[0]] += 1
        if answer not in ("scored", "refused"):
            print(f"mutant {number}: {answer}", flush=True)
    print(dict(found))
    return 0 if set(found) <= {"scored", "refused"} else 1


if __name__ == "__main__":
    sys.exit(main())
