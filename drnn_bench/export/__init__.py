"""A finalist as a folder of its own, written and loaded again.

May import the rooms up to jobs.
"""
