"""Where queries, documents and judgements come from. Open `collection.py` first, then `load.py`."""
