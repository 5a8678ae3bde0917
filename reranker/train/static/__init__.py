"""Makes the embedded checkpoint: static token embeddings compiled into a transformer. Open `compile.py` first."""
