"""Compares stored results: comparison, gate, verification. Open `stored.py` first."""
