"""Times the core model against a baseline, the published way of running it: `python -m reranker.speed`."""
