"""Reads weights and vocabularies with numpy: PyTorch, safetensors, TFLite and SentencePiece files."""
