"""Candidates: bundled runs, BM25 for each language, dense search, TREC run files. Open `runs.py` first."""
