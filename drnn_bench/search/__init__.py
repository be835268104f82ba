"""Searches: one driver asks Optuna for trials, gives them to trainers, and tells what came out.

May import everything up to `training` and `execution`; nothing of boards, reports or commands.
"""
