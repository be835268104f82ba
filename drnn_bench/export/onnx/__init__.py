"""A net as ONNX files, with what its raw inputs become and what its outputs mean inside.

raw      raw inputs -> what the net takes, as torch modules that can be traced
graphs   the two graphs, of whole sequences and of one step
convert  a graph as ONNX: torch's exporter, and what is put right after it
check    onnxruntime beside torch, over the test set
"""
