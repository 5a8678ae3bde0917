"""A report of stored results: pages with tables, charts and queries, opened from disk. Open `rows.py` first.

`rows` computes what tables and charts share, `charts` draws it, `pages` puts pages together, `write` writes them.
"""
