"""TF-Hub modules, from an address or a folder, as backbones."""
