"""Builds vision transformers (ViT, DeiT, DINOv2) from a checkpoint, with one vector per picture.

Dosovitskiy et al. 2021, arXiv 2010.11929; Touvron et al. 2021, arXiv 2012.12877; Oquab et al. 2024,
arXiv 2304.07193.

For the same pixels, the features equal those of transformers. The pixels differ. The processors of
transformers resize with Pillow, and some then crop the center. Ours stretches the whole picture to a square,
as for all image backbones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.huggingface.tensors import NamedTensors, preprocessor_settings, setting
from tfautolabel.backbones.huggingface.transformer import TransformerBlock, set_block
from tfautolabel.backbones.networks.shapes import Shape
from tfautolabel.preprocessors.pictures.image import ImagePreprocessor

if TYPE_CHECKING:
    from tfautolabel.backbones.huggingface.checkpoint import Checkpoint

POOLINGS = ("cls", "mean")

_CUBIC = -0.75
"""PyTorch's constant for bicubic interpolation. TensorFlow's is different."""

_VIT_NAMES = {
    "qkv": tuple(f"attention.attention.{name}" for name in ("query", "key", "value")),
    "out": ("attention.output.dense",),
    "expand": ("intermediate.dense",),
    "contract": ("output.dense",),
    "attention_norm": ("layernorm_before",),
    "perceptron_norm": ("layernorm_after",),
}
_DINO_NAMES = _VIT_NAMES | {
    "expand": ("mlp.fc1",),
    "contract": ("mlp.fc2",),
    "attention_norm": ("norm1",),
    "perceptron_norm": ("norm2",),
}
_DINO_GATED_NAMES = _DINO_NAMES | {"expand": ("mlp.weights_in",), "contract": ("mlp.weights_out",)}


@keras.saving.register_keras_serializable("tfautolabel")
class PatchEmbedding(layers.Layer):
    """Cuts pictures into square patches. Each becomes a row, after the rows that all pictures share.

    Args:
        patch: side of a patch in pixels.
        width: d.
        positions: number of patches of a picture.
        first: number of rows before them: the class token and, for DeiT, the distillation token.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        pixels: (n, s, s, 3) float32. Pixels at the edge that do not fill a whole patch are ignored.

    Returns:
        (n, first + positions, d) float32.
    """

    def __init__(self, patch: int, width: int, positions: int, first: int, **options: Any) -> None:
        super().__init__(**options)
        self.patch, self.width, self.positions, self.first = patch, width, positions, first
        self.kernel = self.add_weight(shape=(patch, patch, 3, width), name="kernel")
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        # A token and its position are only used as their sum.
        self.token = self.add_weight(shape=(first, width), name="token")
        self.position = self.add_weight(shape=(positions, width), name="position")
        self.built = True

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """See the class."""
        rows = tf.nn.conv2d(pixels, self.kernel.value, self.patch, "VALID")
        rows = tf.reshape(tf.nn.bias_add(rows, self.bias.value), [-1, self.positions, self.width])
        first = tf.tile(self.token.value[None], [tf.shape(rows)[0], 1, 1])
        return tf.concat([first, rows + self.position.value], axis=1)

    def compute_output_shape(self, pixels_shape: Shape) -> Shape:
        """Returns (n, first + positions, d)."""
        return (pixels_shape[0], self.first + self.positions, self.width)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        names = ("patch", "width", "positions", "first")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfautolabel")
class PoolTokens(layers.Layer):
    """Returns the class token's row of each picture, or the mean over its patches.

    Args:
        pooling: "cls", the class token, or "mean", the mean over the patches.
        first: number of rows before the patches.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        rows: (n, l, d) float32.

    Returns:
        (n, d) float32.
    """

    def __init__(self, pooling: str, first: int, **options: Any) -> None:
        super().__init__(**options)
        self.pooling, self.first = pooling, first

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return rows[:, 0] if self.pooling == "cls" else tf.reduce_mean(rows[:, self.first :], axis=1)

    def compute_output_shape(self, rows_shape: Shape) -> Shape:
        """Returns (n, d)."""
        return (rows_shape[0], rows_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "pooling": self.pooling, "first": self.first}


def build_vit(
    checkpoint: Checkpoint, *, pooling: str = "cls", size: int | None = None
) -> tuple[ImagePreprocessor, keras.Model]:
    """Builds the decoder, and the network from pixels in [0, 255] to vectors.

    Args:
        checkpoint: a checkpoint of model_type "vit", "deit" or "dinov2", with preprocessor_config.json.
        pooling: "cls", the class token after the last norm, which the checkpoints' own heads use, or "mean",
            the mean over the patches after the last norm.
        size: side of the pictures in pixels. The default is the checkpoint's own: for "dinov2" the crop size
            in preprocessor_config.json, otherwise image_size. If the position embeddings are for another
            size, they are interpolated, as in transformers.

    Returns:
        An `ImagePreprocessor`, and a functional model from (n, size, size, 3) to (n, d) float32.

    Raises:
        ValueError: If a tensor or setting is missing or an option is not valid.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {list(POOLINGS)}. Received: {pooling!r}")
    config = checkpoint.config
    prepared = preprocessor_settings(checkpoint.json("preprocessor_config.json"))
    tensors = NamedTensors(checkpoint.tensors, "embeddings.patch_embeddings.projection.weight")
    side = size if size is not None else _own_size(config, prepared)
    kernel = tensors["embeddings.patch_embeddings.projection.weight"]
    width, channels, patch = kernel.shape[:3]
    if channels != 3 or kernel.shape[3] != patch:
        raise ValueError(f"patches must be square and of 3 colours. Received: {kernel.shape[1:]}")
    if isinstance(side, bool) or not isinstance(side, int) or side < patch:
        raise ValueError(f"size must be a whole number of pixels from {patch} on. Received: {side!r}")
    first, position = _tokens(tensors, side // patch)
    pixels = keras.Input((side, side, 3), name="pixels")
    embedding = PatchEmbedding(patch, width, len(position), len(first), name="embedding")
    rows = embedding(normalised(prepared)(pixels))
    blocks = _blocks(config, tensors, width)
    for block in blocks:
        rows = block(rows)
    norm = layers.LayerNormalization(epsilon=setting(config, "layer_norm_eps"), name="norm")
    rows = norm(rows)
    features = PoolTokens(pooling, len(first), name="pool")(rows)
    model = keras.Model(pixels, features, name=config["model_type"])
    bias = tensors["embeddings.patch_embeddings.projection.bias"]
    embedding.set_weights([kernel.transpose(2, 3, 1, 0), bias, first, position])
    norm.set_weights(tensors.pair("layernorm"))
    return ImagePreprocessor(side), model


def _blocks(config: dict[str, Any], tensors: NamedTensors, width: int) -> list[TransformerBlock]:
    """Returns the blocks with their weights. DINOv2 has other names for norms and dense layers."""
    is_dino = "encoder.layer.0.norm1.weight" in tensors
    gated = "encoder.layer.0.mlp.weights_in.weight" in tensors
    names = _DINO_GATED_NAMES if gated else _DINO_NAMES if is_dino else _VIT_NAMES
    hidden = tensors[f"encoder.layer.0.{names['contract'][0]}.weight"].shape[1]
    blocks = []
    for index in range(setting(config, "num_hidden_layers")):
        block = TransformerBlock(
            width,
            setting(config, "num_attention_heads"),
            hidden,
            setting(config, "layer_norm_eps"),
            activation="silu" if gated else setting(config, "hidden_act"),
            gated=gated,
            name=f"block{index}",
        )
        scales = ("layer_scale1.lambda1", "layer_scale2.lambda1") if is_dino else None
        set_block(block, tensors, f"encoder.layer.{index}.", names, scales)
        blocks.append(block)
    return blocks


def _own_size(config: dict[str, Any], prepared: dict[str, Any]) -> int:
    """Returns the side of the pictures that the checkpoint is made for."""
    if config.get("model_type") == "dinov2":
        # Its position embeddings are for much larger pictures than it is used with.
        cropped = prepared.get("do_center_crop", "crop_size" in prepared)
        size = prepared.get("crop_size" if cropped else "size")
        side: int | None = size.get("height", size.get("shortest_edge")) if isinstance(size, dict) else size
        if side is not None:
            return side
    image_size: int = setting(config, "image_size")
    return image_size


def normalised(prepared: dict[str, Any]) -> layers.Rescaling:
    """Returns a layer that scales pixels in [0, 255] to the range of the training pictures."""
    factor = prepared.get("rescale_factor", 1 / 255) if prepared.get("do_rescale", True) else 1.0
    if not prepared.get("do_normalize", True):
        return layers.Rescaling(factor, name="normalised")
    mean, deviation = (
        np.broadcast_to(np.array(setting(prepared, name, "preprocessor_config.json"), np.float64), 3)
        for name in ("image_mean", "image_std")
    )
    return layers.Rescaling((factor / deviation).tolist(), (-mean / deviation).tolist(), name="normalised")


def _tokens(tensors: NamedTensors, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first rows and the positions of the patches.

    The first rows are (first, d), with their positions added. The positions of side * side patches are (p,
    d).
    """
    names = ["embeddings.cls_token", "embeddings.distillation_token"]
    tokens = np.concatenate([tensors[name][0] for name in names if name in tensors or name == names[0]])
    position = np.asarray(tensors["embeddings.position_embeddings"][0], np.float32)
    first, grid = tokens + position[: len(tokens)], position[len(tokens) :]
    own = round(len(grid) ** 0.5)
    if own * own != len(grid):
        raise ValueError(f"the position embeddings must be those of a square. Received: {len(grid)}")
    if own != side:
        weights = cubic_weights(own, side)
        square = grid.reshape(own, own, -1)
        grid = np.einsum("ai,bj,ijd->abd", weights, weights, square, optimize=True).reshape(side * side, -1)
    return first, grid.astype(np.float32)


def cubic_weights(old: int, new: int) -> np.ndarray:
    """Returns the weights of PyTorch's bicubic interpolation, with points in the middle of equal cells.

    Keys 1981, "Cubic convolution interpolation for digital image processing", with the constant -0.75; points
    beyond an end repeat the point at that end.

    Returns:
        (new, old) float64, rows sum to 1.
    """
    places = (np.arange(new) + 0.5) * old / new - 0.5
    start = np.floor(places).astype(int)
    weights = np.zeros((new, old))
    for tap in range(-1, 3):
        distance = np.abs(places - (start + tap))
        near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
        far = _CUBIC * (((distance - 5) * distance + 8) * distance - 4)
        column = np.clip(start + tap, 0, old - 1)
        np.add.at(weights, (np.arange(new), column), np.where(distance <= 1, near, far))
    return weights
