"""Metrics: what a split's outputs and targets are worth, in numpy alone.

names          the metrics by name; registry, a metric's class and its facts, plug-ins included
metric         what every metric is, and what a record keeps of it
forms          what outputs and targets are: classes, real numbers, binary, quantiles
classes        accuracy, balanced accuracy, macro F1
likelihood     cross-entropy, perplexity, bits per character
ranking        the area under the ROC curve
real           errors of real numbers: MSE, RMSE, MAE, R2, MASE, pinball loss
constant       what an answer that does not look at the inputs may be

May import errors, system and plugins.
"""
