"""What stored results say of each other: comparison, gate, verification. Open `stored.py` first."""
