"""TF-Hub modules from a URL or a folder, as backbones."""
