"""The leaderboard's renderings, from the groups and lines that results ranks.

columns        the columns of a table, as data: a column is one entry; cells, their text
caption        the heading and the sentences around a table
renderings     Markdown, CSV and JSON; terminal, the same for a terminal; frame, for pandas
budgets        families against budgets, side by side
speed_tables   the figures of `bench measure`
reproduce      the commands that make a board again
publish        the published boards in leaderboards/

May import the rooms up to speed.
"""
