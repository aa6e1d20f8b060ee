"""The command line. Nothing here imports TensorFlow before a command needs it."""

from tfautolabel.cli.app import app, main

__all__ = ["app", "main"]
