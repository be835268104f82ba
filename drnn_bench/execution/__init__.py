"""Carries jobs to trainers, on this machine or on a Ray cluster.

Knows nothing of what a job computes.

May import errors and system.
"""
