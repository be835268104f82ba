"""Tasks: data, its three splits, which steps are scored, the metric.

May import errors, system, plugins and formats.
"""
