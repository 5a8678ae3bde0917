"""A report of stored results: pages with tables, charts and queries, opened from disk. Open `rows.py` first.

`rows` computes what tables and charts share, `charts` draws it, `overview`, `task` and `history` are pages, and `write`
writes them. In a notebook: ``charts.scores(rows.score_rows(section, 0), "nDCG@10", 600)`` for a leaderboard's section.
"""
