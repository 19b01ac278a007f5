"""Batch normalization inserted into trained networks: what they compute stays, on any graph."""

import tracemalloc
import weakref

import keras
import numpy as np
import pytest
from keras import layers

from utils import fetch
from utils.batchnorm import is_activation
from utils.vgg import insert_batchnorm, vgg16

JAX = keras.backend.backend() == "jax"


def relu(units, **options):
    return layers.Dense(units, activation="relu", **options)


def chain(*stack, shape=(6,), name="chain"):
    """Return a Sequential model with drawn weights, biases included."""
    return drawn(keras.Sequential([keras.Input(shape), *stack], name=name))


def drawn(model, seed=0):
    """Give a model weights as if it had been trained: none is zero or one."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights(
            [
                rng.normal(0.1, 0.8 / np.sqrt(max(1, np.prod(w.shape[:-1]))), w.shape)
                if w.ndim > 1
                else rng.uniform(0.2, 1.2, w.shape)
                for w in layer.get_weights()
            ]
        )
    return model


def rows(count=37, shape=(6,), seed=1):
    return np.random.default_rng(seed).normal(0.3, 1, (count, *shape)).astype("float32")


def outputs(model, x):
    if JAX and isinstance(model, keras.Model):  # else it would compile operation by operation
        return keras.tree.flatten(model.predict_on_batch(x))
    return [np.asarray(y) for y in keras.tree.flatten(model(x, training=False))]


def assert_same(model, other, x, tolerance=1e-5):
    for one, two in zip(outputs(model, x), outputs(other, x), strict=True):
        np.testing.assert_allclose(two, one, rtol=0, atol=tolerance * abs(one).max())


def inserted(model):
    return {
        layer.name.removesuffix("_batchnorm"): layer
        for layer in model.layers
        if layer.name.endswith("_batchnorm")
    }


def assert_statistics(batchnorm, values, rtol=1e-5, axis=-1):
    """Compare a layer's four weights with those of its input, by NumPy."""
    values = np.moveaxis(np.asarray(values, float), axis, -1)
    values = values.reshape(-1, values.shape[-1])
    mean, variance = values.mean(0), values.var(0)
    near = {"rtol": rtol, "atol": rtol * np.sqrt(variance.max())}
    np.testing.assert_allclose(batchnorm.moving_mean, mean, **near)
    np.testing.assert_allclose(batchnorm.beta, mean, **near)
    np.testing.assert_allclose(batchnorm.moving_variance, variance, **near)
    undone = np.sqrt(np.asarray(batchnorm.moving_variance) + batchnorm.epsilon)
    np.testing.assert_allclose(batchnorm.gamma, undone, rtol=1e-6)


# ---- what is inserted, and where ----


def test_a_sequential_model_gets_it_after_each_hidden_activation():
    model = chain(relu(5, name="a"), layers.Dropout(0.5), relu(4, name="b"), layers.Dense(3))
    x = rows()
    normalised = insert_batchnorm(model, x, batch_size=8)
    names = [layer.name for layer in normalised.layers[1:]]
    assert names == ["a", "a_batchnorm", model.layers[1].name, "b", "b_batchnorm", *names[-1:]]
    assert_same(model, normalised, x)
    assert_same(model, normalised, 10 * rows(50, seed=2))  # rows that were not measured
    first = outputs(model.layers[0], x)[0]
    assert_statistics(inserted(normalised)["a"], first)
    assert_statistics(inserted(normalised)["b"], outputs(model.layers[2], first)[0])
    assert not normalised.compiled and isinstance(normalised, keras.Model)


def test_before_stands_between_the_linear_part_and_the_activation():
    model = chain(relu(5, name="a"), layers.Dense(3))
    x = rows()
    normalised = insert_batchnorm(model, x, position="before", batch_size=8)
    names = [layer.name for layer in normalised.layers[1:-1]]
    assert names == ["a", "a_batchnorm", "a_activation"]
    assert normalised.layers[1].activation is keras.activations.linear
    assert normalised.layers[3].activation is keras.activations.relu
    assert_same(model, normalised, x)
    kernel, bias = model.layers[0].get_weights()
    assert_statistics(inserted(normalised)["a"], x @ kernel + bias)


@pytest.mark.parametrize(
    "activation",
    [
        lambda: layers.Activation("tanh", name="act"),
        pytest.param(lambda: layers.PReLU(name="act"), marks=pytest.mark.slow),
    ],
)
def test_an_activation_layer_belongs_to_the_layer_before_it(activation):
    model, x = chain(layers.Dense(5, name="a"), activation(), layers.Dense(2)), rows()
    for position, expected in (
        ("after", ["a", "act", "a_batchnorm"]),
        ("before", ["a", "a_batchnorm", "act"]),
    ):
        normalised = insert_batchnorm(model, x, position=position)
        assert [layer.name for layer in normalised.layers[1:-1]] == expected
        assert_same(model, normalised, x)


def test_what_counts_as_an_activation():
    x = keras.Input((3,))
    operations = [t._keras_history[0] for t in (keras.ops.relu(x), keras.ops.tanh(x), x + 1)]
    assert [is_activation(operation) for operation in operations] == [True, True, False]
    kinds = layers.ELU, layers.LeakyReLU, layers.PReLU, layers.ReLU, layers.Softmax
    assert all(is_activation(kind()) for kind in kinds)
    assert not is_activation(layers.Dropout(0.5)) and not is_activation(layers.Dense(1))


@pytest.mark.slow
def test_a_linear_layer_is_followed_either_way():
    model, x = chain(layers.Dense(5, name="a"), layers.Dropout(0.2), layers.Dense(2)), rows()
    for position in ("after", "before"):
        normalised = insert_batchnorm(model, x, position=position)
        assert [layer.name for layer in normalised.layers[1:3]] == ["a", "a_batchnorm"]
        assert_same(model, normalised, x)


@pytest.mark.slow
def test_one_activation_layer_may_serve_several():
    inputs, act = keras.Input((6,)), layers.ReLU(name="act")
    x = act(layers.Dense(5, name="a")(inputs))
    x = keras.ops.relu(layers.Dense(4, name="b")(x))
    x = act(layers.Dense(3, name="c")(x))
    model, data = drawn(keras.Model(inputs, layers.Dense(2)(x))), rows()
    for position in ("after", "before"):
        normalised = insert_batchnorm(model, data, position=position)
        assert set(inserted(normalised)) == {"a", "b", "c"}
        assert_same(model, normalised, data)
    assert (np.asarray(inserted(insert_batchnorm(model, data))["b"].moving_mean) >= 0).all()


@pytest.mark.slow
def test_a_tensor_with_two_uses_is_normalised_for_both():
    inputs = keras.Input((6,))
    linear = layers.Dense(6, name="a")(inputs)
    x = layers.Add()([layers.ReLU()(linear), linear])
    model, data = drawn(keras.Model(inputs, layers.Dense(2)(x))), rows()
    normalised = insert_batchnorm(model, data)
    assert_same(model, normalised, data)
    kernel, bias = model.get_layer("a").get_weights()
    assert_statistics(inserted(normalised)["a"], data @ kernel + bias)


@pytest.mark.slow
def test_an_activity_penalty_stays_with_the_activation():
    model, x = chain(relu(5, name="a", activity_regularizer="l2"), layers.Dense(2)), rows()
    for position in ("after", "before"):
        normalised = insert_batchnorm(model, x, position=position)
        expected = (model(x), sum(model.losses))[1]
        assert (normalised(x), float(sum(normalised.losses)))[1] == pytest.approx(
            float(expected), rel=1e-5
        )


@pytest.mark.parametrize(
    ("choice", "expected", "position"),
    [
        ("conv", {"c", "s"}, "after"),
        ("all", {"c", "s", "d"}, "before"),
        pytest.param("dense", {"d"}, "before", marks=pytest.mark.slow),
        pytest.param(["s", "c"], {"c", "s"}, "before", marks=pytest.mark.slow),
        pytest.param(("d",), {"d"}, "after", marks=pytest.mark.slow),
    ],
)
def test_dense_layers_convolutions_or_names(choice, expected, position):
    model = chain(
        layers.Conv2D(3, 3, activation="relu", name="c"),
        layers.MaxPooling2D(),
        layers.SeparableConv2D(4, 2, activation="elu", name="s"),
        layers.Flatten(),
        relu(5, name="d"),
        layers.Dense(2, activation="softmax"),
        shape=(8, 9, 2),
    )
    x = rows(11, (8, 9, 2))
    normalised = insert_batchnorm(model, x, choice, position, batch_size=4)
    assert set(inserted(normalised)) == expected
    assert_same(model, normalised, x)
    if position == "after" and "c" in expected:
        assert_statistics(inserted(normalised)["c"], outputs(model.layers[0], x)[0])


@pytest.mark.skipif(not JAX, reason="TensorFlow has no such convolution on a processor")
def test_channels_first():
    model = chain(
        layers.Conv2D(3, 3, activation="relu", data_format="channels_first", name="c"),
        layers.Flatten(),
        layers.Dense(2),
        shape=(2, 7, 6),
    )
    x = rows(11, (2, 7, 6))
    normalised = insert_batchnorm(model, x, "conv", batch_size=4)
    assert_same(model, normalised, x)
    assert_statistics(inserted(normalised)["c"], outputs(model.layers[0], x)[0], axis=1)


def test_output_layers_are_found_behind_what_has_no_kernel():
    inputs = keras.Input((6,))
    x = relu(5, name="trunk")(inputs)
    one = layers.Activation("softmax")(layers.BatchNormalization()(layers.Dense(3, name="one")(x)))
    gate = layers.Dense(3, name="gate")(relu(4, name="side")(x))
    model = drawn(keras.Model(inputs, [layers.Add()([one, gate]), layers.Rescaling(2)(one)]))
    normalised = insert_batchnorm(model, rows())
    assert set(inserted(normalised)) == {"trunk", "side"}
    assert_same(model, normalised, rows())
    for name in ("one", "gate"):
        with pytest.raises(ValueError, match=f"'{name}' is an output layer"):
            insert_batchnorm(model, rows(), [name])


def two_by_two():
    """Return a model of two inputs in a dict and two outputs, with branches and a skip."""
    image, size = keras.Input((8, 8, 2), name="image"), keras.Input((2,), name="size")
    c = layers.Conv2D(4, 3, padding="same", activation="relu", name="c1")(image)
    c = layers.Add()([c, layers.Conv2D(4, 3, padding="same", name="c2")(c)])
    c = layers.GlobalAveragePooling2D()(c)
    both = layers.Concatenate()([c, relu(3, name="d1")(size)])
    hidden = relu(5, name="d2")(both[:, 1:])
    return drawn(
        keras.Model(
            {"image": image, "size": size},
            {"kind": layers.Dense(3, name="kind")(hidden), "box": layers.Dense(4, name="box")(c)},
            name="two",
        )
    )


def test_branches_skips_inputs_and_outputs_keep_their_structure():
    model = two_by_two()
    x = {"image": rows(13, (8, 8, 2)), "size": rows(13, (2,))}
    for position in ("after", "before"):
        normalised = insert_batchnorm(model, x, "all", position, batch_size=5)
        assert set(inserted(normalised)) == {"c1", "c2", "d1", "d2"}
        assert_same(model, normalised, x)
        assert set(normalised(x)) == {"kind", "box"}


@pytest.mark.slow
def test_sequences_and_shared_layers_that_are_not_chosen():
    inputs = keras.Input((7,), dtype="int32")
    shared = layers.Dense(4, name="shared")
    x = layers.Embedding(11, 4, mask_zero=True)(inputs)
    x = relu(4, name="each")(x)
    x = shared(shared(x))
    model = drawn(keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x))))
    x = np.random.default_rng(0).integers(0, 11, (20, 7))
    normalised = insert_batchnorm(model, x, ["each"])
    assert_same(model, normalised, x)
    embedded = outputs(model.layers[1], x)[0]
    assert_statistics(inserted(normalised)["each"], outputs(model.get_layer("each"), embedded)[0])


# ---- any network ----


def convolutional():
    return chain(
        layers.Conv2D(4, 3, activation="relu", name="c1"),
        layers.Conv2D(3, 3, activation="relu", name="c2"),
        layers.Flatten(),
        relu(6, name="fc1"),
        layers.Dropout(0.5),
        relu(5, name="fc2"),
        layers.Dense(3),
        shape=(9, 8, 2),
    )


def random_network(seed):
    """Return a random functional model with branches, skips and joined ways, and data for it."""
    rng = np.random.default_rng(seed)
    shape = (8, 8, 3)
    inputs = [keras.Input(shape) for _ in range(rng.integers(1, 3))]

    def activated(make):
        """Give a layer its own activation, one behind it, or none."""
        name = rng.choice(["relu", "tanh", "elu"])
        kind = rng.integers(4)
        if kind < 2:
            return make(activation=name)
        make = make()
        return lambda x: (layers.Activation(name) if kind == 2 else keras.ops.relu)(make(x))

    tensors = list(inputs)
    for _ in range(rng.integers(2, 6)):
        x, width = tensors[rng.integers(len(tensors))], int(rng.integers(2, 6))
        step = rng.integers(5)
        if step == 0:
            y = tensors[rng.integers(len(tensors))]
            joined = layers.Concatenate()([x, y]) if x is not y else x
            x = layers.Conv2D(width, 1)(joined)
        elif step == 1:
            along = layers.Conv2D(x.shape[-1], 3, padding="same", activation="relu")(x)
            x = layers.Add()([x, layers.Dropout(0.3)(along)])
        elif step == 2:
            x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x) * 2.0)
        else:
            x = activated(lambda **o: layers.Conv2D(width, 3, padding="same", **o))(x)  # noqa: B023
        tensors.append(x)
    flat = layers.Concatenate()(
        [(layers.Flatten() if rng.random() < 0.5 else layers.GlobalMaxPooling2D())(t)
         for t in tensors[-2:]]
    )  # fmt: skip
    heads = []
    for _ in range(rng.integers(1, 3)):
        x = flat
        for _ in range(rng.integers(1, 3)):
            x = activated(lambda **o: layers.Dense(int(rng.integers(3, 7)), **o))(x)
        heads.append(layers.Dense(2, activation=rng.choice(["softmax", "linear"]))(x))
    model = drawn(keras.Model(inputs, heads), seed)
    return model, [rows(9, shape, seed + n) for n, _ in enumerate(inputs)]


def check_random_network(seed):
    model, x = random_network(seed)
    rng = np.random.default_rng(seed)
    kind, position = rng.choice(["dense", "all"]), ("after", "before")[seed % 2]
    normalised = insert_batchnorm(model, x, kind, position, batch_size=4)
    added = len(normalised.layers) - len(model.layers)
    assert added >= len(inserted(normalised)) > 0
    assert_same(model, normalised, x)
    other = [3 * rows(5, array.shape[1:], seed + 99) for array in x]
    assert_same(model, normalised, other)


@pytest.mark.parametrize("seed", range(2))
def test_random_networks_compute_what_they_did(seed):
    check_random_network(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 102))
def test_a_hundred_random_networks_compute_what_they_did(seed):
    check_random_network(seed)


def narrow_vgg():
    base = vgg16((32, 32, 3), width=1 / 16)
    x = layers.Dropout(0.5)(relu(16, name="fc1")(layers.Flatten()(base.output)))
    return keras.Model(base.input, layers.Dense(3)(relu(8, name="fc2")(x)), name="narrow")


@pytest.mark.parametrize(
    ("choice", "position", "count"),
    [("all", "after", 15), ("dense", "before", 2), ("conv", "before", 13)],
)
@pytest.mark.slow
def test_a_narrow_vgg_computes_what_it_did(choice, position, count):
    model = narrow_vgg()
    x = np.random.default_rng(0).uniform(0, 255, (12, 32, 32, 3)).astype("float32")
    normalised = insert_batchnorm(model, x, choice, position, batch_size=5)
    assert len(inserted(normalised)) == count
    assert_same(model, normalised, x)
    if position == "after":
        last = keras.Model(model.input, model.get_layer("block5_conv3").output)
        assert_statistics(inserted(normalised)["block5_conv3"], outputs(last, x)[0], rtol=1e-4)


@pytest.mark.real
@pytest.mark.slow
def test_the_imagenet_base_computes_what_it_did():
    folder = fetch.locate("vgg16")
    if folder is None:
        pytest.skip("the weights are not in the data folder: python -m utils.fetch get vgg16")
    (file,) = folder.glob("*notop.h5")
    model = vgg16((64, 64, 3), weights=file)
    x = np.random.default_rng(0).uniform(0, 255, (6, 64, 64, 3)).astype("float32")
    for position in ("after", "before"):
        normalised = insert_batchnorm(model, x, "conv", position, batch_size=3)
        assert len(inserted(normalised)) == 12, "the last convolution is the output layer"
        assert_same(model, normalised, x)


# ---- the statistics ----


@pytest.mark.slow
def test_all_at_once_are_those_of_the_network_as_it_was():
    model, x = convolutional(), rows(10, (9, 8, 2)) * 50 + 100
    together = inserted(insert_batchnorm(model, x, "all", batch_size=4))
    for name in ("c2", "fc2"):
        (alone,) = inserted(insert_batchnorm(model, x, [name], batch_size=10)).values()
        for one, two in zip(alone.get_weights(), together[name].get_weights(), strict=True):
            np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5 * abs(one).max())


def test_each_row_counts_once_whatever_the_batches():
    model, x = chain(layers.Dense(6, name="a"), layers.Dense(1)), rows(9)
    model.layers[0].set_weights([np.eye(6), np.zeros(6)])
    x[8] = 1000
    for size in (1, 4, 100):
        assert_statistics(inserted(insert_batchnorm(model, x, batch_size=size))["a"], x, 1e-6)


def test_a_small_spread_far_from_zero_keeps_its_digits():
    """Squares added up in float32 would leave no digit of these variances."""
    model = chain(
        layers.DepthwiseConv2D(1, name="a"), layers.Flatten(), layers.Dense(1), shape=(40, 40, 2)
    )
    model.layers[0].set_weights([np.ones((1, 1, 2, 1)), np.zeros(2)])
    x = (1000 + 0.01 * rows(33, (40, 40, 2))).astype("float32")
    found = inserted(insert_batchnorm(model, x, "conv", batch_size=8))["a"]
    exact = x.astype(float).reshape(-1, 2)
    np.testing.assert_allclose(found.moving_mean, exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(found.moving_variance, exact.var(0), rtol=2e-3)


def test_finite_rows_whose_sum_is_not_are_fine():
    model, x = chain(layers.Dense(6, name="a"), layers.Dense(1)), rows(9)
    model.layers[0].set_weights([np.eye(6, k=1), np.zeros(6)])  # the last number counts for nothing
    x[:, 5] = 3e38
    found = inserted(insert_batchnorm(model, x, batch_size=4))["a"]
    assert_statistics(found, np.column_stack([np.zeros(9), x[:, :5]]), 1e-6)


class Pictures(keras.utils.PyDataset):
    """Batches of pictures with labels, each batch of another size."""

    sizes = ((4, 5), (9, 3), (6, 6))

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return rows(2 + index, (*self.sizes[index], 2), index), np.zeros(2 + index)


@pytest.mark.slow
def test_larger_pictures_have_more_positions():
    model = chain(
        layers.Conv2D(3, 3, padding="same", activation="relu", name="a"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(1),
        shape=(None, None, 2),
    )
    data = Pictures()
    values = [outputs(model.layers[0], data[i][0])[0].reshape(-1, 3) for i in range(3)]
    found = inserted(insert_batchnorm(model, data, "conv"))["a"]
    assert_statistics(found, np.concatenate(values))


def test_dead_and_constant_units_and_a_single_row():
    model, x = chain(relu(4, name="a"), layers.Dense(2)), rows(20)
    kernel, bias = model.layers[0].get_weights()
    kernel[:, :2], bias[:2] = 0, (-1, 3)  # dead; always 3
    model.layers[0].set_weights([kernel, bias])
    normalised = insert_batchnorm(model, x)
    found = inserted(normalised)["a"]
    np.testing.assert_allclose(np.asarray(found.moving_mean)[:2], [0, 3])
    np.testing.assert_allclose(np.asarray(found.moving_variance)[:2], 0)
    np.testing.assert_allclose(np.asarray(found.gamma)[:2], np.sqrt(found.epsilon), rtol=1e-6)
    assert_same(model, normalised, x)
    lonely = insert_batchnorm(model, x[:1])
    np.testing.assert_array_equal(inserted(lonely)["a"].moving_variance, np.zeros(4))
    assert_same(model, lonely, x)


class Rows(keras.utils.PyDataset):
    """Rows made when asked for; counts how many batches are alive at once."""

    def __init__(self, count, batch=1_000):
        super().__init__()
        self.count, self.batch, self.alive, self.most = count, batch, weakref.WeakSet(), 0

    def __len__(self):
        return self.count // self.batch

    def __getitem__(self, index):
        batch = rows(self.batch, (64,), index).view(Counted)
        self.alive.add(batch)
        self.most = max(self.most, len(self.alive))
        return batch


class Counted(np.ndarray):
    __hash__ = object.__hash__
    __eq__ = object.__eq__


def test_memory_does_not_grow_with_the_rows():
    model, peaks = chain(relu(32), layers.Dense(2), shape=(64,)), []
    for count in (1_000, 1_000, 50_000):  # the first for what is loaded once
        data = Rows(count)
        tracemalloc.start()
        insert_batchnorm(model, data)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert data.most <= 3
    assert peaks[2] < peaks[1] + 500_000, "50,000 rows of activations take 6.4 MB"


class Sliced:
    """An array on disk, say: knows its shape, and notes how many rows are asked for."""

    def __init__(self, array):
        self.array, self.shape, self.asked = array, array.shape, []

    def __getitem__(self, rows):
        self.asked.append(len(self.array[rows]))
        return self.array[rows]


@pytest.mark.slow
def test_arrays_are_read_in_one_pass_batch_by_batch():
    data = Sliced(rows(70))
    insert_batchnorm(chain(relu(5), relu(4), layers.Dense(2)), data, batch_size=16)
    assert data.asked == [16, 16, 16, 16, 6]


def batches_of(x):
    yield x[:10]
    yield x[:0]
    yield x[10:20], np.zeros(10)
    yield x[20:], np.zeros(17), np.ones(17)


def test_all_kinds_of_data_give_the_same():
    model, x = chain(relu(5, name="a"), layers.Dense(2)), rows(37)
    kinds = [x.astype("float64"), keras.ops.convert_to_tensor(x), batches_of(x)]
    if not JAX:
        import tensorflow as tf

        kinds += [tf.data.Dataset.from_tensor_slices((x, np.zeros(37))).batch(10)]
    expected = inserted(insert_batchnorm(model, x))["a"].get_weights()
    for data in kinds:
        found = inserted(insert_batchnorm(model, data, batch_size=10))["a"].get_weights()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


# ---- the model that was, and the one that is ----


def test_the_model_is_left_untouched():
    model, x = convolutional(), rows(4, (9, 8, 2))
    model.compile("sgd", "mse")
    weights = model.get_weights()
    nodes = [(len(l._inbound_nodes), len(l._outbound_nodes)) for l in model.layers]  # noqa: E741
    normalised = insert_batchnorm(model, x, "all", "before")
    assert [(len(l._inbound_nodes), len(l._outbound_nodes)) for l in model.layers] == nodes  # noqa: E741
    normalised.set_weights([w + 1 for w in normalised.get_weights()])
    for before, now in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, before)
    assert model.compiled and not {id(w) for w in model.weights} & {
        id(w) for w in normalised.weights
    }


def test_it_saves_loads_and_clones(tmp_path):
    model, x = chain(relu(8, name="a"), layers.Dense(1)), rows(64)
    normalised = insert_batchnorm(model, x, position="before")
    normalised.save(tmp_path / "normalised.keras")
    loaded = keras.models.load_model(tmp_path / "normalised.keras")
    copy = keras.models.clone_model(normalised)
    copy.set_weights(normalised.get_weights())
    for other in (loaded, copy):
        np.testing.assert_array_equal(outputs(other, x), outputs(normalised, x))
    normalised.save_weights(tmp_path / "n.weights.h5")
    copy.set_weights([0 * w for w in copy.get_weights()])
    copy.load_weights(tmp_path / "n.weights.h5")
    assert_same(model, copy, x)


@pytest.mark.slow
def test_it_trains():
    model, x = chain(relu(8, name="a"), layers.Dense(1)), rows(64)
    normalised = insert_batchnorm(model, x, position="before")
    mean = inserted(normalised)["a"].get_weights()[2]
    normalised.compile(keras.optimizers.Adam(0.01), "mse")
    target = np.sin(x.sum(1, keepdims=True))
    loss = normalised.fit(x, target, epochs=12, verbose=0).history["loss"]
    assert loss[-1] < 0.9 * loss[0]
    assert abs(inserted(normalised)["a"].get_weights()[2] - mean).max() > 1e-4


def test_a_frozen_layer_gets_a_frozen_one():
    model, x = chain(relu(8, name="a"), relu(8, name="b"), layers.Dense(1)), rows(16)
    model.get_layer("a").trainable = False
    normalised = insert_batchnorm(model, x)
    assert [inserted(normalised)[name].trainable for name in "ab"] == [False, True]
    assert len(normalised.trainable_weights) == 6
    model.trainable = False
    assert not insert_batchnorm(model, x).trainable


@pytest.mark.slow
def test_measuring_leaves_no_losses_behind():
    """Keras keeps those of its last call, here a tensor of a graph that is gone."""
    model = chain(relu(5, activity_regularizer="l2"), layers.Dense(2))
    assert insert_batchnorm(model, rows()).losses == []


@pytest.mark.slow
def test_what_was_adapted_stays_so():
    x = 3 * rows() + 5
    scaled = layers.Normalization()
    scaled.adapt(x)
    for first in (scaled, keras.Sequential([keras.Input((6,)), scaled], name="within")):
        inputs = keras.Input((6,))
        head = drawn(keras.Sequential([keras.Input((6,)), relu(4, name="a"), layers.Dense(2)]))
        y = first(inputs)
        for layer in head.layers:
            y = layer(y)
        normalised = insert_batchnorm(keras.Model(inputs, y), x, ["a"])
        kernel, bias = head.layers[0].get_weights()
        by_hand = np.maximum(0, (x - x.mean(0)) / x.std(0) @ kernel + bias)
        assert_statistics(inserted(normalised)["a"], by_hand)
        kernel, bias = head.layers[1].get_weights()
        expected = by_hand @ kernel + bias
        near = 1e-5 * abs(expected).max()
        np.testing.assert_allclose(outputs(normalised, x)[0], expected, rtol=0, atol=near)


@pytest.mark.slow
def test_dropout_that_is_always_on_is_off_while_measuring():
    """As in `predict`, where Keras overrules `training=True`."""
    inputs = keras.Input((6,))
    always = layers.Dropout(0.5)(inputs, training=True)
    model, x = drawn(keras.Model(inputs, layers.Dense(1)(relu(4, name="a")(always)))), rows()
    kernel, bias = model.get_layer("a").get_weights()
    expected = np.maximum(0, x @ kernel + bias)
    assert_statistics(inserted(insert_batchnorm(model, x))["a"], expected)


@pytest.mark.slow
def test_a_model_keeps_its_precision_whatever_the_next_one_gets():
    model, x = chain(layers.Dense(5, name="a"), layers.Dense(2)), rows() + 1000
    kernel, bias = model.layers[0].get_weights()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        normalised = insert_batchnorm(model, x)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in normalised.layers[1:]} == {"float32"}
    # 1,000 in bfloat16 is a multiple of 4: nothing would be left of the spread
    assert_statistics(inserted(normalised)["a"], x.astype(float) @ kernel + bias, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("position", ["after", "before"])
def test_a_quantized_layer_gets_one_as_before_it_was_quantized(position):
    model, x = chain(relu(8, name="a"), layers.Dense(2)), rows()
    model.layers[0].quantize("int8")
    normalised = insert_batchnorm(model, x, position=position)
    assert normalised.get_layer("a").quantization_mode == "int8"
    assert inserted(normalised)["a"].dtype_policy.name == "float32"
    assert_same(model, normalised, x)


@pytest.mark.slow
def test_an_activation_with_weights_within_a_layer():
    model, x = chain(layers.Dense(5, activation=layers.PReLU(), name="a"), layers.Dense(2)), rows()
    assert_same(model, insert_batchnorm(model, x), x)
    with pytest.raises(ValueError, match="activation of layer 'a' has weights"):
        insert_batchnorm(model, x, position="before")


def test_other_precisions():
    model, x = chain(relu(5, name="a", dtype="mixed_float16"), layers.Dense(2)), rows()
    normalised = insert_batchnorm(model, x)
    assert inserted(normalised)["a"].compute_dtype == "float16"
    assert_same(model, normalised, x, 2e-3)


# ---- what is refused ----


def twice():
    inputs, shared = keras.Input((6,)), relu(6, name="shared")
    return keras.Model(inputs, layers.Dense(1)(shared(shared(inputs))))


def nested():
    inner = keras.Sequential([keras.Input((6,)), relu(4), relu(3)], name="inner")
    return keras.Sequential([keras.Input((6,)), inner, relu(4, name="own"), layers.Dense(1)])


class Odd(layers.Dense):
    def get_config(self):
        raise NotImplementedError("no config")


class Subclassed(keras.Model):
    pass


def plain():
    return chain(relu(5, name="a"), layers.Dropout(0.5, name="drop"), layers.Dense(2, name="out"))


def normal(*behind):
    return chain(relu(5, name="a"), *behind, layers.Dense(2))


def activated():
    stack = layers.Dense(5, name="a"), layers.ReLU(), layers.BatchNormalization(name="bn")
    return chain(*stack, layers.Dense(2))


def exponential():
    return chain(layers.Dense(5, activation="exponential", name="a"), layers.Dense(2))


def taken(name):
    return lambda: chain(relu(5, name="a"), layers.Dropout(0.5, name=name), layers.Dense(2))


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return rows()


def spoiled(value=np.nan):
    x = rows(37)
    x[20, 2] = value
    return x


BIG = np.full((4, 6), 1e30, "float32")
BIG[::2] *= -1


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (plain, {"position": "between"}, 'position=\'between\': must be "after" or "before"'),
        (plain, {"batch_size": 0}, "batch_size=0 is not a whole number"),
        (plain, {"layers": "fc"}, 'layers=\'fc\': must be "dense", "conv", "all", or a list'),
        (plain, {"layers": []}, r"layers=\[\]: must be"),
        (plain, {"layers": 3}, "layers=3: must be"),
        (plain, {"layers": ["a", "a"]}, "each once"),
        (plain, {"layers": ["b"]}, "Layer 'b' is not there.*are a, out"),
        (plain, {"layers": ["drop"]}, "Layer 'drop' is a Dropout"),
        (plain, {"layers": ["out"]}, "'out' is an output layer"),
        (plain, {"layers": "conv"}, "'chain' has no hidden layer of the kind layers='conv'.*out"),
        (lambda: chain(layers.Dense(1)), {}, "no hidden layer of the kind layers='dense'"),
        (lambda: Subclassed(name="mine"), {}, "'mine' is not built, or is no Sequential"),
        (lambda: keras.Sequential([relu(3)], name="new"), {}, "'new' is not built"),
        (lambda: "vgg.keras", {}, "'vgg.keras' is not built"),
        (twice, {}, "'shared' is called 2 times"),
        (nested, {}, "'inner' is a model within"),
        (lambda: normal(layers.BatchNormalization(name="bn")), {}, "'a' has batch norm.*'bn'"),
        (activated, {}, "'a' has batch normalization already: 'bn'"),
        (activated, {"position": "before"}, "'a' has batch normalization already: 'bn'"),
        (taken("a_batchnorm"), {}, "would be called 'a_batchnorm', and there is such"),
        (taken("a_activation"), {"position": "before"}, "called 'a_activation'"),
        (lambda: chain(Odd(3, name="odd"), layers.Dense(1)), {}, "'odd' cannot be made.*no config"),
        (plain, {"data": 5}, "data is a int: must be an array"),
        (plain, {"data": "x.npy"}, "data is a str: must be an array"),
        (plain, {"data": [[1.0, 2.0]]}, "data is a list: must be an array"),
        (plain, {"data": np.float32(1)}, "must be an array"),
        (plain, {"data": [rows(), rows()]}, r"shapes \(37, 6\), \(37, 6\).*'chain' takes 1 inputs"),
        (plain, {"data": rows(0)}, "data has no rows"),
        (plain, {"data": iter(())}, "data has no rows"),
        (plain, {"data": iter([rows(0)])}, "data has no rows"),
        (plain, {"data": iter([1.0, 2.0])}, r"batch of data has inputs of the shapes \(\), and"),
        (plain, {"data": iter([None])}, "A batch of data has inputs of the shapes"),
        (plain, {"data": iter(rows())}, r"shape \(6,\)"),
        (
            plain,
            {"data": iter([({"b": rows(3), "c": rows(4)},)])},
            r"inputs of the shapes \(3, 6\), \(4, 6\), and",
        ),
        (two_by_two, {"data": iter([[rows(3), rows(3)]])}, "shapes .3, 6., and 'two'\\s+takes 2"),
        (plain, {"data": Endless()}, "data is endless"),
        (plain, {"data": spoiled()}, "Row 20 of data is infinite or NaN. Leave"),
        (plain, {"data": spoiled(np.inf)}, "Row 20 of data is infinite or NaN"),
        (exponential, {"data": spoiled(1e4)}, "Row 20 of data is finite, but makes a unit of 'a'"),
        (plain, {"data": BIG}, "variance before 'a_batchnorm' is beyond float32"),
    ],
)
def test_what_is_refused(build, options, message):
    data = options.pop("data", rows()) if "data" in options else rows()
    with pytest.raises(ValueError, match=message):
        insert_batchnorm(build(), data, **{"batch_size": 8} | options)


def test_endless_pipelines_are_refused():
    if JAX:
        pytest.skip("a pipeline of TensorFlow's")
    import tensorflow as tf

    with pytest.raises(ValueError, match="data is endless"):
        insert_batchnorm(plain(), tf.data.Dataset.from_tensors(rows()).repeat())


@pytest.mark.slow
def test_layers_beside_a_nested_model_can_be_named():
    model = drawn(nested())
    normalised = insert_batchnorm(model, rows(), ["own"])
    assert_same(model, normalised, rows())


def test_inserting_again_is_refused_and_in_other_layers_is_not():
    model, x = convolutional(), rows(4, (9, 8, 2))
    normalised = insert_batchnorm(model, x)
    with pytest.raises(ValueError, match="'fc1' has batch normalization already"):
        insert_batchnorm(normalised, x, "all")
    more = insert_batchnorm(normalised, x, "conv")
    assert len(inserted(more)) == 4
    assert_same(model, more, x)
