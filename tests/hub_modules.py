"""Makes small modules as TensorFlow Hub publishes them: reusable SavedModels.

The format: https://www.tensorflow.org/hub/reusable_saved_models and, for images,
https://www.tensorflow.org/hub/common_signatures/images (float32 in [0, 1], a feature vector out).
"""

from pathlib import Path

import keras
import numpy as np
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


def make_text_module(folder: Path, feature_dim: int = 8) -> Path:
    """Saves an embedding of texts as the first text modules of TensorFlow Hub are: (n,) string in.

    Words are looked up in a table that travels as an asset, and their vectors are averaged.
    """
    words = ["good", "great", "bad", "poor", "film", "the"]
    table, embeddings = _words(folder, words), _random((len(words) + 1, feature_dim))

    class TextEmbedding(tf.Module):
        def __init__(self):
            self.table, self.embeddings = table, tf.Variable(embeddings)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            ids = table.lookup(tf.strings.split(tf.strings.lower(texts)).to_tensor("the"))
            return tf.reduce_mean(tf.gather(self.embeddings, ids), axis=1)

    tf.saved_model.save(TextEmbedding(), str(folder))
    return folder


def make_text_pair(folder: Path, length: int = 8, feature_dim: int = 6) -> tuple[Path, Path]:
    """Saves a preprocessing module and an encoder as TensorFlow Hub's transformers are."""
    words = ["good", "great", "bad", "poor", "film", "the"]
    table, embeddings = _words(folder, words), _random((len(words) + 2, feature_dim))

    class Preprocess(tf.Module):
        def __init__(self):
            self.table = table

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            ids = tf.ragged.map_flat_values(table.lookup, tf.strings.split(tf.strings.lower(texts)))
            ids = tf.cast(ids[:, :length] + 1, tf.int32)
            mask = tf.ones_like(ids).to_tensor(0, shape=[None, length])
            tokens = ids.to_tensor(0, shape=[None, length])
            return {"input_word_ids": tokens, "input_mask": mask, "input_type_ids": tf.zeros_like(mask)}

    class Encode(tf.Module):
        def __init__(self):
            self.embeddings = tf.Variable(embeddings)

        @tf.function(
            input_signature=[
                {
                    key: tf.TensorSpec([None, length], tf.int32, name=key)
                    for key in ("input_word_ids", "input_mask", "input_type_ids")
                }
            ]
        )
        def __call__(self, tokens):
            rows = tf.gather(self.embeddings, tokens["input_word_ids"])
            rows *= tf.cast(tokens["input_mask"], tf.float32)[..., None]
            pooled = tf.tanh(tf.reduce_sum(rows, axis=1))
            return {"pooled_output": pooled, "sequence_output": rows, "default": pooled}

    tf.saved_model.save(Preprocess(), str(folder / "preprocess"))
    tf.saved_model.save(Encode(), str(folder / "encode"))
    return folder / "preprocess", folder / "encode"


def make_audio_module(folder: Path, feature_dim: int = 5, frame: int = 4000) -> Path:
    """Saves a module that takes one waveform and gives a tuple with the frames' embeddings, as YAMNet."""
    kernel = _random((3, feature_dim))

    class Frames(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable(kernel)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, waveform):
            frames = tf.signal.frame(waveform, frame, frame // 2, pad_end=True)
            power = tf.reduce_mean(frames**2, axis=1)
            crossings = tf.reduce_mean(tf.abs(frames[:, 1:] - frames[:, :-1]), axis=1)
            level = tf.reduce_max(tf.abs(frames), axis=1)
            embeddings = tf.stack([power, crossings, level], axis=1) @ self.kernel
            return tf.nn.softmax(embeddings), embeddings, frames

    tf.saved_model.save(Frames(), str(folder))
    return folder


def make_tf1_module(folder: Path, kind: str = "image", training_graph: bool = True) -> Path:
    """Saves a module in TensorFlow 1's format, https://www.tensorflow.org/hub/tf1_hub_module.

    Args:
        folder: where to write.
        kind: "image", a classifier whose features are a signature of their own, or "text", with a table.
        training_graph: whether there is a second graph, tagged "train", whose features are another's.
    """
    v1 = tf.compat.v1
    (folder.parent / "tf1_words.txt").write_text("good\nbad\nfilm\n")

    def image(scale):
        given = v1.placeholder(tf.float32, [None, 32, 32, 3], name="images")
        kernel = v1.get_variable("kernel", initializer=_random((3, 5)))
        features = tf.reduce_mean(given, [1, 2]) @ kernel * scale
        return {"images": given}, {"default": features * 7, "image_feature_vector": features}

    def text(scale):
        given = v1.placeholder(tf.string, [None], name="text")
        table = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                str(folder.parent / "tf1_words.txt"),
                tf.string,
                0,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            num_oov_buckets=1,
        )
        rows = tf.gather(v1.get_variable("embeddings", initializer=_random((4, 5))), table.lookup(given))
        return {"text": given}, {"default": rows * scale}

    builder = v1.saved_model.Builder(str(folder))
    for number, tags in enumerate([[], ["train"]][: 1 + training_graph]):
        with tf.Graph().as_default(), v1.Session() as session:
            inputs, outputs = (image if kind == "image" else text)(1.0 + 9.0 * number)
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            info = v1.saved_model.build_tensor_info
            signatures = {
                name: v1.saved_model.build_signature_def(
                    {key: info(value) for key, value in inputs.items()}, {"default": info(output)}, name
                )
                for name, output in outputs.items()
            }
            options = {"signature_def_map": signatures, "main_op": v1.tables_initializer()}
            options["assets_collection"] = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
            if number == 0:
                builder.add_meta_graph_and_variables(session, tags, **options)
            else:
                builder.add_meta_graph(tags, **options)
    builder.save()
    # A serialized ModuleDef message: format = FORMAT_V3.
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")
    (folder.parent / "tf1_words.txt").unlink()
    return folder


def _words(folder: Path, words: list[str]) -> tf.lookup.StaticVocabularyTable:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text("\n".join(words) + "\n")
    return tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(folder / "words.txt"), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ),
        num_oov_buckets=1,
    )


def _random(shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)
