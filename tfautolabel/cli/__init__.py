"""The command line; it does not import TensorFlow until a command needs it."""

from tfautolabel.cli.app import app, main

__all__ = ["app", "main"]
