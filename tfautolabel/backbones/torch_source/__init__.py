"""PyTorch modules as SavedModels: exported by PyTorch, carried over operation by operation, checked, cached.

A module's graph is that of `torch.export` (https://docs.pytorch.org/docs/stable/export.html), in PyTorch's
ATen operations; each becomes the TensorFlow operation that computes the same.
"""
