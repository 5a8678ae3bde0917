"""Makes checkpoints: `python -m reranker.train`. Open `finetune.py` first."""
