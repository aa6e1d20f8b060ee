"""Makes small image modules as TensorFlow Hub publishes them: reusable SavedModels.

The format: https://www.tensorflow.org/hub/reusable_saved_models and, for images,
https://www.tensorflow.org/hub/common_signatures/images (float32 in [0, 1], a feature vector out).
"""

from pathlib import Path

import keras
import tensorflow as tf


def make_image_module(folder: Path, size: int = 32, feature_dim: int = 16, seed: int = 0) -> Path:
    """Saves an untrained image feature extractor with batch normalisation and a regularisation loss.

    Args:
        folder: where to write; made if it is missing.
        size: height and width of the pictures, pixels.
        feature_dim: width of the feature vectors.
        seed: of the random weights.

    Returns:
        The folder: a SavedModel from (n, size, size, 3) float32 in [0, 1] to (n, feature_dim) float32.
    """

    def initializer(offset):
        return keras.initializers.GlorotUniform(seed=seed + offset)

    network = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(8, 3, strides=2, use_bias=False, kernel_initializer=initializer(0)),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.Conv2D(feature_dim, 3, strides=2, kernel_initializer=initializer(1)),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )

    @tf.function
    def apply(images, training=False):
        return network(images, training=training)

    images = tf.TensorSpec([None, size, size, 3], tf.float32)
    for training in (False, True):
        apply.get_concrete_function(images, training=training)

    kernel = network.trainable_variables[0].value
    root = tf.train.Checkpoint()
    root.__call__ = apply
    root.variables = [variable.value for variable in network.variables]
    root.trainable_variables = [variable.value for variable in network.trainable_variables]
    root.regularization_losses = [
        tf.function(lambda: 1e-4 * tf.reduce_sum(tf.square(kernel)), input_signature=[])
    ]
    folder = Path(folder)
    tf.saved_model.save(root, str(folder))
    return folder
