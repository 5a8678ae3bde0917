"""Turns a task and a reranker into a result: plan, prepare, evaluate, cache. Open `plan.py` first."""
