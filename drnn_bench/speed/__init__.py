"""How fast nets are: timed in turns, alone, with their memory.

May import the rooms up to search.
"""
