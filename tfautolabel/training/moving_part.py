"""Common code of fine-tuning and contrastive tuning: the moving (trained) part of a backbone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data import Dataset
from tfautolabel.preprocessors import WindowMean
from tfautolabel.training.augmentation import augmentation_of
from tfautolabel.training.examples import Batch, TrainingExamples
from tfautolabel.training.mixed_precision import computed_in, gpus_have_bf16, heavy_layers
from tfautolabel.training.parameters import Snapshot, cut_network, moving, select_parameters
from tfautolabel.training.rates import TransferAdam, WarmUpAndCosine

BatchOrder = Callable[[np.ndarray, np.random.Generator], list[np.ndarray]]
"""Maps the rows to train on to the rows of each batch of one epoch."""


class OutOfTimeError(Exception):
    """Training was stopped because it would exceed its time limit."""


class DivergedError(RuntimeError):
    """Training was stopped because a loss, a weight or a prediction became non-finite."""


class MovingPart:
    """Trains part of a backbone with a model on top of its features, repeatedly from the start.

    It is a context manager: at its end everything is frozen again, with the weights of the last training.

    Args:
        backbone: trained in place.
        dataset: n labelled examples that can all be read.
        class_ids: (n,) int64.
        scope: which parameters are trained, see `select_parameters`.
        statistics: whether the moving statistics of batch norms are updated.
        augment: in [0, 1], the strength of augmentation; 0 for none.
        crop: whether to truncate the longest texts for training, see `TrainingExamples`.
        eager: whether operations run one by one: a graph takes seconds to make, too long for few steps.
        seed: determines views and the order of the batches.
    """

    def __init__(
        self,
        backbone: Backbone,
        dataset: Dataset,
        class_ids: np.ndarray,
        *,
        scope: str,
        statistics: bool,
        augment: float,
        seed: int,
        crop: bool = False,
        eager: bool = False,
    ) -> None:
        network = backbone.network
        self.class_ids = np.asarray(class_ids)
        self.seed = seed
        self.feature_dim = backbone.feature_dim
        self._network = network
        self._chosen = select_parameters(network, scope)
        cut = cut_network(network, self._chosen)
        augmentation = augmentation_of(backbone.modality, augment)
        self.examples = TrainingExamples(backbone, dataset, cut.before, augmentation, seed, crop, eager)
        self._moving = moving(network, self._chosen, statistics)
        self._moving.__enter__()
        self._heavy = heavy_layers(network) if gpus_have_bf16() else []
        self.start = Snapshot(network.weights)
        self._inputs = [
            keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name)
            for spec in self.examples.signature
        ]
        self._example = keras.Input((), dtype="int64", name="example")
        vectors = self._inputs[0] if cut.behind is None else _PartBehind(cut.behind, statistics)(self._inputs)
        self._features = WindowMean(name="window_mean")(vectors, self._example)
        features = keras.Model([*self._inputs, self._example], self._features)
        self._eager = eager
        self._extract = lambda inputs, example: features([*inputs, example], training=False)
        if not eager:
            specs = (self.examples.signature, tf.TensorSpec([None], tf.int64))
            self._extract = tf.function(self._extract, input_signature=specs, autograph=False)
        self._model: keras.Model | None = None
        self._first_optimizer: Snapshot | None = None

    def __enter__(self) -> MovingPart:
        return self

    def __exit__(self, *error: Any) -> None:
        self._moving.__exit__(*error)

    def put_on_top(
        self,
        top: Callable[[Any], Any],
        loss: object,
        *,
        rate: float,
        top_rate: float,
        decay: float,
        pull: float,
    ) -> None:
        """Builds the model to train.

        Args:
            top: the model on top of the features, such as a head.
            loss: the loss for its output and the class ids.
            rate: the peak learning rate of the backbone's last block.
            top_rate: the peak learning rate of the variables of `top`.
            decay: the factor of a block's rate for each block after it, in (0, 1].
            pull: the pull to the start, see `TransferAdam`.
        """
        model = keras.Model([*self._inputs, self._example], top(self._features), name="tuning")
        variables = model.trainable_variables
        first = {id(variable): value for variable, value in self.start.pairs}
        behind = [self._chosen.get(id(variable)) for variable in variables]
        optimizer = TransferAdam(
            [top_rate / rate if blocks is None else decay**blocks for blocks in behind],
            [None if blocks is None else first[id(v)] for v, blocks in zip(variables, behind, strict=True)],
            pull,
            learning_rate=rate,
        )
        optimizer.build(variables)
        model.compile(optimizer, loss=loss, jit_compile=False, run_eagerly=self._eager)
        self._model, self._rate = model, rate
        self._first_optimizer = Snapshot(optimizer.variables)

    def restart(self) -> None:
        """Resets the backbone and the optimizer; the caller resets the model on top."""
        self.start.restore()
        if self._first_optimizer is not None:
            self._first_optimizer.restore()

    def train(
        self,
        rows: np.ndarray,
        order: BatchOrder,
        *,
        epochs: int,
        stop_after: int | None = None,
        class_weight: dict[int, float] | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        until: float | None = None,
        first_epoch: int = 0,
    ) -> Any:
        """Trains on some of the examples.

        Args:
            rows: the examples to train on.
            order: the batches of an epoch.
            epochs: how many epochs the learning rate schedule has.
            stop_after: after how many epochs to stop; by default after all.
            class_weight: class id to weight.
            callbacks: ordinary Keras callbacks.
            until: a time of `time.monotonic` at which the training must be over.
            first_epoch: the epoch to continue with.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            OutOfTimeError: If training would not end in time.
            DivergedError: If the loss or a weight becomes non-finite; `restart` resets everything.
        """
        model = self._model
        if model is None:
            raise RuntimeError("nothing is on top of the features yet: call put_on_top first")
        last = epochs if stop_after is None else stop_after
        steps = len(order(rows, np.random.default_rng(self.seed)))
        current = _Epoch(first_epoch)
        # TensorFlow never releases a generator, so the generator must not hold its data.
        source = [lambda: self._batches(rows, order, current.number, class_weight)]
        data = (
            tf.data.Dataset.from_generator(
                lambda: source[0](),
                output_signature=(
                    (*self.examples.signature, tf.TensorSpec([None], tf.int64)),
                    tf.TensorSpec([None], tf.int64),
                    tf.TensorSpec([None], tf.float32),
                ),
            )
            .apply(tf.data.experimental.assert_cardinality(steps))
            .prefetch(2)
        )
        own = [current, WarmUpAndCosine(self._rate, epochs * steps, steps), _FiniteLoss()]
        if until is not None:
            own.append(_Deadline(until, (last - first_epoch) * steps))
        try:
            with computed_in("mixed_bfloat16", self._heavy):
                history = model.fit(
                    data,
                    epochs=last,
                    initial_epoch=first_epoch,
                    verbose=0,
                    shuffle=False,
                    callbacks=[*own, *callbacks],
                )
        finally:
            source.clear()
        for variable in model.variables:
            check_finite(f"the weight {variable.path}", variable.numpy())
        return history

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Returns (m, d) features of some examples from the current backbone, computed in float32."""
        with computed_in("float32", self._heavy):  # a callback may ask for them while training runs
            parts = [
                self._extract(
                    tuple(map(tf.convert_to_tensor, batch.inputs)), tf.convert_to_tensor(batch.example)
                ).numpy()
                for batch in self.examples.plain_batches(np.asarray(rows))
            ]
        return np.concatenate(parts) if parts else np.zeros((0, self.feature_dim), np.float32)

    @property
    def state(self) -> list[keras.Variable]:
        """Returns all variables that training changes."""
        model = self._model
        return [] if model is None else [*model.variables, *model.optimizer.variables]

    def _batches(
        self, rows: np.ndarray, order: BatchOrder, epoch: int, class_weight: dict[int, float] | None
    ) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([self.seed, epoch])
        for chosen in order(rows, rng):
            batch: Batch = self.examples.drawn(chosen.tolist(), rng)
            class_ids = self.class_ids[chosen]
            weight = np.array([(class_weight or {}).get(int(c), 1.0) for c in class_ids], np.float32)
            yield (*batch.inputs, batch.example), class_ids, weight


def shuffled(batch_size: int) -> BatchOrder:
    """Returns an order with every example once, at random.

    Args:
        batch_size: examples in a batch.
    """

    def order(rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        mixed = rng.permutation(rows)
        return np.array_split(mixed, max(1, round(len(mixed) / batch_size)))

    return order


class _PartBehind(keras.layers.Layer):
    """The trained part of a network; its batch norms update their statistics only on request.

    Keras passes `training=True` to every layer of a functional model, whatever the layer was called with.

    Args:
        part: a model.
        statistics: whether it may be called with `training=True`.
    """

    def __init__(self, part: keras.Model, statistics: bool) -> None:
        super().__init__(name="moving_part")
        self.part, self.statistics = part, statistics

    def call(self, inputs: list[Any], training: bool | None = None) -> tf.Tensor:
        """Returns the part's output."""
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        return self.part(given, training=bool(training) and self.statistics)


def check_finite(name: str, values: np.ndarray) -> None:
    """Checks that a loss, a weight or a prediction is still finite.

    Args:
        name: what the values are, for the message.
        values: an array of any shape; values of other types than floating point count as finite.

    Raises:
        DivergedError: If a value is NaN or infinite.
    """
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise DivergedError(f"it diverged: {name} is not finite any more")


class _FiniteLoss(keras.callbacks.Callback):
    """Stops a training at the first step with a non-finite loss."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """See the class."""
        check_finite(f"the loss of step {batch + 1}", np.asarray((logs or {}).get("loss", 0.0), np.float64))


class _Epoch(keras.callbacks.Callback):
    """Keeps the current epoch, which is needed when its batches are made."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """See the class."""
        self.number = epoch


class _Deadline(keras.callbacks.Callback):
    """Stops a training that will not end in time, as soon as this is known.

    Args:
        until: a time of `time.monotonic`.
        steps: how many steps the whole training has.
    """

    def __init__(self, until: float, steps: int) -> None:
        super().__init__()
        self.until, self.steps, self._done = until, steps, 0
        self._begin = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """See the class."""
        self._done += 1
        now = time.monotonic()
        if self._done == 1:  # the first step makes the graph, so its time says nothing about the others
            self._begin = now
        elif self._done >= 4:
            expected = (now - self._begin) / (self._done - 1) * (self.steps - self._done)
            if now + expected > self.until:
                raise OutOfTimeError
        if now > self.until:
            raise OutOfTimeError
