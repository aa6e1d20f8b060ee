"""SavedModels as layers, and their folders and archives."""
