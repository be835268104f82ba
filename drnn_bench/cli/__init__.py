"""One file a command: parse, call, print.

May import every room.
"""
