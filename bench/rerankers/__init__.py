"""One file per reranker family, one row per known model. Open `base.py` first, then `rows.py`."""

from bench.rerankers.registry import calls_server, check, load, plug_ins, row_of
from bench.rerankers.rows import FAMILIES, ROWS, Row

__all__ = ["FAMILIES", "ROWS", "Row", "calls_server", "check", "load", "plug_ins", "row_of"]
