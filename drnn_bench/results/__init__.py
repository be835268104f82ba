"""Records of what was run, and what is computed from them alone: ranks, significance, correlation.

records        the rows in their file; schema, what a row may hold
board_line     what stands on a board: lines, and the groups that are ranked together
study_lines    the rows of a study -> its line; speeds, which speed it shows
ranking        rows -> ranked groups

Needs neither torch nor Optuna. May import errors and system.
"""
