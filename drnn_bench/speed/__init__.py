"""How fast nets are, and how much memory they take: measured in turns, on an idle machine.

May import the rooms up to search.
"""
