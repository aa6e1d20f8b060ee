"""SavedModels as layers, and the folders and archives that they come in."""
