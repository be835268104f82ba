"""The whole job: plan, search, finals, speed, and what it says meanwhile.

May import the rooms up to board.
"""
