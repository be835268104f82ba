"""What a recurrent layer computes at a step: one object a cell, one file an object.

    cell      the base: gates, states, weights, initialisations, the step
    names     the cells that come with drnn_bench, as data; needs no torch
    registry  a cell by its name, those of plug-ins too
    inits     how weights begin, where several cells begin alike

Cells know nothing of dilation, sequences of steps in order, or which kernel runs: `kernels` does.
May import errors, system and plugins.
"""
