"""Times the core model against the published way of running it: `python -m reranker.speed`. Open `measure.py` first."""
