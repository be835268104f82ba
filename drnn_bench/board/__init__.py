"""The leaderboard's renderings: columns, captions, Markdown, terminal, published files.

May import the rooms up to speed.
"""
