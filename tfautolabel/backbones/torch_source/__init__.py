"""Converts PyTorch modules to SavedModels, checks the result and caches it.

`torch.export` (https://docs.pytorch.org/docs/stable/export.html) gives a module's graph in PyTorch's ATen
operations. Each of them becomes the TensorFlow operation that computes the same.
"""
