"""Files of weights and vocabularies, read with numpy: PyTorch's, safetensors, TFLite's, SentencePiece's."""
