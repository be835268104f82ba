"""This machine and this process: provenance, threads, device, files, signals, text.

May import errors.
"""
