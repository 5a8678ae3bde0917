"""Rerankers that write the order as text: a strategy chooses windows, a prompt asks, a speaker answers.

Open `ranker.py` first, which joins the three; `strategies/`, `prompts/` and the speakers `local.py` and `chat.py` hold
one small file for each member.
"""
