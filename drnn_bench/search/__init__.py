"""One family searched at one budget: the space, the study in its storage, the driver.

May import the rooms up to training.
"""
