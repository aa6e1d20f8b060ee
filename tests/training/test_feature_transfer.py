import keras
import numpy as np
import pytest

from tfautolabel.data.folds import stratified_folds
from tfautolabel.heads import LinearHead, build_head
from tfautolabel.training import train_head

DIM, CLASSES = 6, 3


@pytest.fixture
def data():
    """30 examples, 10 a class, around three corners."""
    rng = np.random.default_rng(0)
    class_ids = np.arange(30) % CLASSES
    features = np.eye(CLASSES, DIM, dtype=np.float32)[class_ids] + rng.normal(0, 0.1, (30, DIM))
    return features.astype(np.float32), class_ids.astype(np.int64)


def network(seed=0, **compilation):
    head = keras.Sequential(
        [
            keras.Input((DIM,)),
            keras.layers.Dense(16, "relu", kernel_initializer=keras.initializers.GlorotUniform(seed)),
            keras.layers.Dense(
                CLASSES, "softmax", kernel_initializer=keras.initializers.GlorotUniform(seed + 1)
            ),
        ]
    )
    head.compile(
        **(
            {"optimizer": keras.optimizers.Adam(0.05), "loss": "sparse_categorical_crossentropy"}
            | compilation
        )
    )
    return head


HEADS = {
    "linear": lambda: _compiled(LinearHead(DIM, CLASSES, Cs=[4.0])),
    "mlp": lambda: build_head("mlp", DIM, CLASSES),
    "own": network,
}


def _compiled(head):
    head.compile()
    return head


def _scores(probabilities, rows):
    """Log-probabilities without the temperature, the one number that all rows have a part in."""
    scores = np.log(probabilities) - np.log(probabilities).mean(axis=1, keepdims=True)
    return scores / np.linalg.norm(scores[rows])


@pytest.mark.parametrize("name", HEADS)
def test_out_of_fold_probabilities_come_from_heads_that_did_not_see_the_row(data, name):
    """Other features of one row change what is said of it, but nothing that is said of its fold."""
    features, class_ids = np.abs(data[0]), data[1]
    options = {} if name == "linear" else {"epochs": 5}
    before = train_head(HEADS[name](), features, class_ids, **options).out_of_fold
    changed = features.copy()
    changed[7, 1:] = 3 * np.eye(DIM, dtype=np.float32)[5, 1:]  # the first feature decides the order
    after = train_head(HEADS[name](), changed, class_ids, **options).out_of_fold
    folds = stratified_folds(class_ids, 5, 0, content=features)
    same_fold = (folds == folds[7]) & (np.arange(30) != 7)
    before, after = (_scores(rows, same_fold) for rows in (before, after))
    difference = np.abs(after - before).max(axis=1)
    unchanged = difference[same_fold].max()
    assert unchanged < 1e-3
    assert np.median(difference[folds != folds[7]]) > 10 * max(unchanged, 1e-5)
    assert difference[7] > 1e-2


@pytest.mark.parametrize("name", HEADS)
def test_it_learns_and_says_so(data, name):
    features, class_ids = data
    head = HEADS[name]()
    training = train_head(head, features, class_ids, **({} if name == "linear" else {"epochs": 30}))
    assert training.n_folds == 5
    assert training.out_of_fold.shape == (30, CLASSES)
    assert training.out_of_fold.dtype == np.float32
    np.testing.assert_allclose(training.out_of_fold.sum(axis=1), 1.0, atol=1e-5)
    assert (training.out_of_fold.argmax(axis=1) == class_ids).mean() > 0.9
    assert (head.predict(features, verbose=0).argmax(axis=1) == class_ids).mean() > 0.9
    assert training.history.history["loss"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data):
    def weights(seed):
        head = build_head("mlp", DIM, CLASSES, seed=seed)
        training = train_head(head, *data, epochs=4, seed=seed)
        return [*head.get_weights(), training.out_of_fold]

    state = np.random.get_state()[1].tolist()
    first, again, other = weights(0), weights(0), weights(1)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))
    assert np.random.get_state()[1].tolist() == state


def test_the_order_of_the_batches_follows_the_seed(data):
    """Equal first weights and folds of the final fit: only the shuffle can make the difference."""
    weights = []
    for seed in (0, 0, 1):
        head = network()
        train_head(head, *data, epochs=2, batch_size=8, seed=seed, n_folds=2)
        weights.append(head.get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_callbacks_are_called_in_the_final_fit_only(data):
    sizes = []
    callback = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: sizes.append(1))
    training = train_head(network(), *data, epochs=3, callbacks=[callback])
    assert sizes == [1]
    assert training.history.epoch == [0, 1, 2]


def test_options_of_keras_fit_reach_it(data):
    training = train_head(network(), *data, epochs=2, validation_split=0.2, batch_size=4)
    assert len(training.history.history["val_loss"]) == 2
    training = train_head(network(), *data, epochs=2, validation_data=data)
    assert len(training.history.history["val_loss"]) == 2


def test_a_head_of_ones_own_class_with_a_loss_of_ones_own_is_accepted(data):
    class Own(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = keras.layers.Dense(CLASSES, "softmax", kernel_initializer="zeros")

        def call(self, features):
            return self.dense(features)

    head = Own()
    head(data[0][:1])
    # A local function cannot be made again from a description.
    head.compile("adam", loss=lambda y, p: 2 * keras.losses.sparse_categorical_crossentropy(y, p))
    training = train_head(head, *data, epochs=30)
    assert (training.out_of_fold.argmax(axis=1) == data[1]).mean() > 0.9


def test_the_heads_own_optimizer_is_not_touched_by_the_folds(data):
    head = network(optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)))
    train_head(head, *data, epochs=2, batch_size=10)
    assert int(head.optimizer.iterations) == 6


def test_class_weight_moves_what_is_unsure_to_the_heavier_class():
    features = np.random.default_rng(0).normal(size=(40, DIM)).astype(np.float32)
    class_ids = np.arange(40) % 2
    for name in ("linear", "own"):
        shares = []
        for weight in (1.0, 20.0):
            head = HEADS[name]()
            options = {} if name == "linear" else {"epochs": 10}
            given = {0: 1.0, 1: weight, 2: 1.0}
            training = train_head(head, features, class_ids, class_weight=given, n_folds=2, **options)
            shares.append((training.out_of_fold.argmax(axis=1) == 1).mean())
        assert shares[1] > shares[0] + 0.2, name


@pytest.mark.parametrize("name", HEADS)
def test_a_class_with_one_example_is_predicted_too_and_wrongly(data, name):
    features, class_ids = data
    kept = np.r_[np.flatnonzero(class_ids != 2), np.flatnonzero(class_ids == 2)[:1]]
    options = {} if name == "linear" else {"epochs": 20}
    training = train_head(HEADS[name](), features[kept], class_ids[kept], **options)
    assert training.out_of_fold.shape == (21, CLASSES)
    assert training.out_of_fold[-1].argmax() != 2


@pytest.mark.parametrize("name", HEADS)
def test_two_examples_are_enough_to_run(data, name):
    options = {} if name == "linear" else {"epochs": 1}
    training = train_head(HEADS[name](), data[0][:2], data[1][:2], **options)
    assert training.n_folds == 2
    assert np.isfinite(training.out_of_fold).all()


def test_a_head_that_is_not_compiled_is_refused(data):
    head = keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(CLASSES, "softmax")], name="mine")
    with pytest.raises(ValueError, match=r"must be compiled before it is trained\. Received: mine"):
        train_head(head, *data)


def test_sample_weights_are_refused_because_folds_could_not_follow(data):
    with pytest.raises(ValueError, match="use class_weight"):
        train_head(network(), *data, sample_weight=np.ones(30))


def test_options_that_an_exact_solver_has_no_use_for_are_told(data):
    with pytest.warns(UserWarning, match="ignored epochs, callbacks"):
        train_head(HEADS["linear"](), *data, epochs=3, callbacks=[])


@pytest.mark.parametrize("name", HEADS)
def test_the_order_of_the_examples_changes_nothing(data, name):
    features, class_ids = data
    options = {} if name == "linear" else {"epochs": 3}
    shuffled = np.random.default_rng(0).permutation(len(class_ids))
    weights, held_out = [], []
    for rows in (np.arange(len(class_ids)), shuffled):
        head = HEADS[name]()
        out_of_fold = train_head(head, features[rows], class_ids[rows], **options).out_of_fold
        weights.append(head.get_weights())
        held_out.append(out_of_fold[np.argsort(rows)])
    np.testing.assert_array_equal(*held_out)
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)
