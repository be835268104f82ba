"""The task `own`: the user's own sequences, in any file that `drnn_bench.formats` reads.

task       the task: options, reading, padding
forecasting  windows of long series and what follows each
targets    real targets: their losses, their scale
splitting  classes and splits; grouping keeps the sequences of a group in one split
padding    sequences of one length; recordings in segments
scaling    shifts and scales channels, fills in missing values
summary    the data in a few lines for the user
warnings   what may be wrong with it
"""
