"""Architectures and their theory: families, edges, parameters, budgets, weights.

May import errors, system, plugins, kernels, formats and tasks.
"""
