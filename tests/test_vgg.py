"""VGG16's base against keras.applications as an oracle; splits that compute the same."""

import keras
import numpy as np
import pytest
from keras import layers

from utils import fetch
from utils.vgg import Preprocessing, imagenet_base, split_at_last_convolution, vgg16

SHAPE = (32, 48, 3)


def images(shape=SHAPE, count=2):
    return np.random.default_rng(0).uniform(0, 255, (count, *shape)).astype("float32")


def oracle(weights=None):
    return keras.applications.VGG16(include_top=False, weights=weights, input_shape=SHAPE)


def expected_of(model, x):
    prepared = keras.applications.vgg16.preprocess_input(x.copy())
    return model.predict(prepared, verbose=0)


def test_preprocessing_is_keras():
    x = images()
    expected = keras.applications.vgg16.preprocess_input(x.copy())
    np.testing.assert_allclose(Preprocessing()(x), expected, atol=1e-4)
    np.testing.assert_allclose(
        Preprocessing()(x.astype("uint8")),
        keras.applications.vgg16.preprocess_input(x.astype("uint8").astype("float32")),
        atol=1e-4,
    )


def test_names_weights_and_outputs_are_those_of_keras():
    theirs, ours = oracle(), vgg16(SHAPE)
    names = [layer.name for layer in ours.layers]
    assert names[2:] == [layer.name for layer in theirs.layers][1:]
    shapes = [w.shape for w in theirs.weights]
    assert [w.shape for w in ours.weights] == shapes and ours.count_params() == 14_714_688
    ours.set_weights(theirs.get_weights())
    x = images()
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), expected_of(theirs, x), rtol=1e-4, atol=1e-4
    )


def test_width_and_pooling():
    narrow = vgg16(SHAPE, width=1 / 8)
    assert narrow.output_shape == (None, 1, 1, 64)
    assert [narrow.get_layer(f"block{b}_conv1").filters for b in range(1, 6)] == [8, 16, 32, 64, 64]
    assert vgg16((16, 16, 3), width=1 / 8, pool=False).output_shape == (None, 1, 1, 64)
    assert vgg16((100, 70, 3), width=0.1).output_shape == (None, 3, 2, 51)


def test_drawn_weights_are_seeded_and_keep_the_scale():
    one, same, other = (vgg16(SHAPE, width=0.25, seed=s).get_weights() for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0]) and not np.array_equal(one[2], one[6])
    for kernel in one[::2]:
        fan_in = np.prod(kernel.shape[:-1])
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.15)  # He et al. 2015, (10)


def test_it_is_saved_and_loaded(tmp_path):
    model = vgg16(SHAPE, width=1 / 16)
    model.save(tmp_path / "base.keras")
    loaded, x = keras.models.load_model(tmp_path / "base.keras"), images()
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (31, 32, 3)}, r"input_shape=\(31, 32, 3\).*at least 32 pixels"),
        ({"input_shape": (32, 32, 1)}, r"takes \(height, width, 3\)"),
        ({"input_shape": (32, 32)}, r"takes \(height, width, 3\)"),
        ({"width": 0}, r"width=0: the filters are a multiple"),
        ({"width": 0.5, "weights": "x.h5"}, r"a file of weights is of width 1"),
        ({"weights": "nowhere.h5"}, r"there is no such file"),
    ],
)
def test_what_vgg16_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        vgg16(**arguments)


def test_without_weights_the_base_is_narrow_and_says_so(monkeypatch, capsys):
    monkeypatch.setenv("LESSONS_SOURCE", "standin")
    base = imagenet_base(SHAPE)
    said = capsys.readouterr().out
    assert "STAND-IN" in said and "utils.fetch get vgg16" in said and said.count("\n") == 1
    assert base.name == "vgg16_standin" and base.output_shape[-1] == 64
    assert not base.trainable_weights


@pytest.mark.real
def test_imagenet_weights():
    folder = fetch.locate("vgg16")
    if folder is None:
        pytest.skip("the weights are not in the data folder: python -m utils.fetch get vgg16")
    (file,) = folder.glob("*notop.h5")
    base, theirs, x = imagenet_base(SHAPE), oracle(str(file)), images()
    assert base.name == "vgg16_imagenet" and not base.trainable_weights
    np.testing.assert_allclose(
        base.predict(x, verbose=0), expected_of(theirs, x), rtol=1e-4, atol=1e-3
    )


# ---- the split ----


def chains():
    conv, pool, flat = layers.Conv2D, layers.MaxPooling2D, layers.Flatten
    shape = keras.Input((16, 16, 3))
    rest = [layers.Activation("relu"), pool(), flat(), layers.Dropout(0.5), layers.Dense(3)]
    top = [layers.Dense(5, activation="relu"), layers.Dense(3)]
    yield "own activation", [shape, conv(4, 3, activation="relu"), pool(), flat()], (14, 14, 4)
    yield (
        "normalised after its activation",
        [shape, conv(4, 3, activation="relu"), layers.BatchNormalization(), pool(), flat()],
        (14, 14, 4),
    )
    yield (
        "a layer as activation",
        [shape, conv(2, 3), layers.ReLU(), conv(4, 3), layers.BatchNormalization(), *rest],
        (12, 12, 4),
    )
    yield "linear", [shape, conv(4, 3), pool(), flat()], (14, 14, 4)
    yield (
        "strided, then dense",
        [shape, layers.Rescaling(1 / 255), conv(4, 3, strides=2, activation="elu"), flat(), *top],
        (7, 7, 4),
    )


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("chain", chains(), ids=lambda chain: chain[0])
def test_the_halves_compute_the_whole(chain, functional):
    title, stack, between = chain
    model = keras.Sequential([layers.deserialize(layers.serialize(s)) for s in stack[1:]])
    model.build((None, 16, 16, 3))
    if functional:
        x = inputs = keras.Input((16, 16, 3))
        for layer in model.layers:
            x = layer(x)
        model = keras.Model(inputs, x)
    names = [layer.name for layer in model.layers]
    x = images((16, 16, 3))
    whole = model.predict(x, verbose=0)
    for pool_first in (False, True):
        features, head = split_at_last_convolution(model, pool_first=pool_first)
        pooled = pool_first and title not in (
            "normalised after its activation",
            "strided, then dense",
        )
        size = tuple(n // 2 for n in between[:2]) if pooled else between[:2]
        assert features.output_shape[1:] == (*size, between[2])
        np.testing.assert_allclose(
            head.predict(features.predict(x, verbose=0), verbose=0), whole, rtol=1e-5, atol=1e-5
        )
        shared = {id(w) for w in features.weights + head.weights}
        assert shared == {id(w) for w in model.weights}
    assert [layer.name for layer in model.layers] == names
    np.testing.assert_array_equal(model.predict(x, verbose=0), whole)


def test_vgg_is_split_where_the_lesson_split_it():
    model = vgg16(SHAPE, width=1 / 16)
    features, head = split_at_last_convolution(model)
    assert features.layers[-1].name == "block5_conv3" and features.output_shape[1:] == (2, 3, 32)
    assert [layer.name for layer in head.layers][1:] == ["block5_pool"]
    with pytest.raises(ValueError, match="nothing would be left for the head"):
        split_at_last_convolution(model, pool_first=True)


def branched():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    return keras.Model(inputs, layers.Flatten()(layers.Add(name="joined")([x, inputs])))


def two_headed():
    inputs = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(3, 3)(inputs))
    return keras.Model(inputs, [layers.Dense(1)(x), layers.Dense(1)(x)])


def nested():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3)], name="inner")
    return keras.Sequential([inner, layers.Flatten()])


def dense():
    return keras.Sequential([keras.Input((8,)), layers.Dense(1)], name="dense_only")


def unbuilt():
    return keras.Sequential([layers.Conv2D(3, 3), layers.Flatten()], name="not_yet")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (branched, "'joined' joins 2 branches"),
        (two_headed, "1 inputs, 2 outputs"),
        (nested, "'inner' is a model within"),
        (dense, "'dense_only' has no Conv2D layer"),
        (unbuilt, "'not_yet' is not built"),
    ],
)
def test_what_cannot_be_split(build, message):
    with pytest.raises(ValueError, match=message):
        split_at_last_convolution(build())
