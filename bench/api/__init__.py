"""The Python API: what `bench` offers to scripts and notebooks, over the functions that the command line calls.

Start with `measuring.py`; everything public is reached as an attribute of `bench`.
"""
