"""Records of what was run, and what is computed from them alone: ranks, significance, correlation.

Needs neither torch nor Optuna. May import errors and system.
"""
