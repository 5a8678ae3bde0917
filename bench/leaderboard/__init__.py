"""Tabulates results: which share a column, what a mean averages, and the layout. Open `columns.py` first."""
