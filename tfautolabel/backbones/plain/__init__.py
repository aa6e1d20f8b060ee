"""Features without a pretrained network; a kind of data a file."""

from tfautolabel.backbones.plain.load import PLAIN, is_plain, load_plain, plain_of

__all__ = ["PLAIN", "is_plain", "load_plain", "plain_of"]
