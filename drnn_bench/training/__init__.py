"""The training of one net: the loop, its batches, its losses, its scores, its snapshots.

May import the rooms up to models.
"""
