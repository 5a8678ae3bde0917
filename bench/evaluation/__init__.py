"""From a task to a result: plan, prepare, evaluate, cache. Open `plan.py` first."""
