"""numpy's files: which arrays hold the sequences and their labels, and what was saved.

numpy_files  the arrays of an .npz archive or of .npy files; values are read when asked for
reader       the arrays by their names: sequences, labels, lengths, splits
"""
