"""Rerankers: a table of known ones, and ways to name any other. Importing this loads no model library."""

from bench.rerankers.registry import FAMILIES, calls_server, check, load, plug_ins
from bench.rerankers.rows import ROWS, Row

__all__ = ["FAMILIES", "ROWS", "Row", "calls_server", "check", "load", "plug_ins"]
