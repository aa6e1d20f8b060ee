"""The networks of keras.applications as backbones."""
