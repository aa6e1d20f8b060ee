"""SavedModels of Kaggle Models as backbones."""
