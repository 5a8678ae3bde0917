"""Results side by side: which share a column, what a mean averages, and the tables. Open `columns.py` first."""
