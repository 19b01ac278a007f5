"""Augmentation against SciPy's affine_transform, rolled and turned arrays, and statistics."""

import math

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import ndimage, stats

from utils.images import Augmentation

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(0, 255, (4, 9, 13, 3)).astype("float32")
RAMP = np.broadcast_to(np.arange(13.0)[:, None], (4, 9, 13, 3))  # each pixel its column
LESSON = {
    "width_shift": 0.1,
    "height_shift": 0.05,
    "shear": 0.1,
    "rotation": 15,
    "channel_shift": 20,
}
EVERYTHING = LESSON | {"zoom": 0.2, "horizontal_flip": True}
NOTHING = np.zeros((4, 10), "float32")  # draws for all of IMAGES; JAX compiles for each shape


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def one_draw(**values):
    """Return draws, the same for all four images, that are 0 but for those named."""
    names = ["rotation", "rows", "columns", "shear", "zoom_rows", "zoom_columns", "flip"]
    draw = [values.get(name, 0.0) for name in [*names, "red", "green", "blue"]]
    return np.tile(np.float32(draw), (4, 1))


def by_scipy(image, draw, options):
    """Return what Keras 1's matrices, about the true centre, do to one image."""
    h, w, _ = image.shape
    turn, shear = math.radians(options["rotation"]) * draw[0], options["shear"] * draw[3]
    c, s = math.cos(turn), math.sin(turn)
    rotation = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    shift = [
        [1, 0, options["height_shift"] * h * draw[1]],
        [0, 1, options["width_shift"] * w * draw[2]],
        [0, 0, 1],
    ]
    shearing = [[1, -math.sin(shear), 0], [0, math.cos(shear), 0], [0, 0, 1]]
    zooming = np.diag([1 + options["zoom"] * draw[4], 1 + options["zoom"] * draw[5], 1])
    flip = np.diag([1, -1 if draw[6] < 0 else 1, 1])
    there = [[1, 0, (h - 1) / 2], [0, 1, (w - 1) / 2], [0, 0, 1]]
    matrices = [there, rotation, shift, shearing, zooming, flip, np.linalg.inv(there)]
    matrix = np.linalg.multi_dot([np.asarray(m, float) for m in matrices])
    channels = [
        ndimage.affine_transform(channel, matrix, order=1, mode="nearest")
        for channel in np.moveaxis(image.astype(float), -1, 0)
    ]
    return np.clip(np.stack(channels, -1) + options["channel_shift"] * draw[7:], 0, 255)


@pytest.mark.parametrize("options", [EVERYTHING, {"rotation": 180, "zoom": 0.9, "shear": 1.5}])
@pytest.mark.parametrize("shape", [(9, 13), pytest.param((1, 7), marks=pytest.mark.slow)])
def test_every_kind_together_equals_scipy(options, shape):
    images = RANDOM.uniform(0, 255, (4, *shape, 3)).astype("float32")
    draws = RANDOM.uniform(-1, 1, (4, 10)).astype("float32")
    found = numpy(Augmentation(**options).transform(images, draws))
    full = dict.fromkeys(EVERYTHING, 0.0) | options
    if not full["horizontal_flip"]:
        draws[:, 6] = 0
    expected = [by_scipy(i, d.astype(float), full) for i, d in zip(images, draws, strict=True)]
    np.testing.assert_allclose(found, expected, atol=0.02)  # of 255 grey levels


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_nothing_is_changed_by_zero_ranges_nor_outside_training(dtype):
    images = IMAGES.astype(dtype)
    plain = Augmentation()
    everything = Augmentation(**EVERYTHING)
    for found in (
        plain(images, training=True),
        everything(images),
        everything(images, training=False),
        everything.transform(images, NOTHING),
    ):
        assert keras.backend.standardize_dtype(found.dtype) == "float32"
        assert np.array_equal(numpy(found), images)


def test_zero_ranges_leave_any_values_alone():
    normalised = IMAGES / 100 - 1.3
    assert np.array_equal(numpy(Augmentation()(normalised, training=True)), normalised)


def test_shifts_are_shares_of_the_size():
    wide = numpy(Augmentation(width_shift=3 / 13).transform(IMAGES, one_draw(columns=1)))
    np.testing.assert_allclose(wide[:, :, :10], IMAGES[:, :, 3:], atol=1e-3)
    np.testing.assert_allclose(wide[:, :, 10:], np.repeat(IMAGES[:, :, -1:], 3, 2), atol=1e-3)
    high = numpy(Augmentation(height_shift=1 / 3).transform(IMAGES, one_draw(rows=-1)))
    np.testing.assert_allclose(high[:, 3:], IMAGES[:, :6], atol=1e-3)
    np.testing.assert_allclose(high[:, :3], np.repeat(IMAGES[:, :1], 3, 1), atol=1e-3)


def test_rotation_is_clockwise_in_degrees():
    quarter = numpy(Augmentation(rotation=90).transform(IMAGES, one_draw(rotation=1)))
    middle = np.s_[:, :, 2:11]  # a square about the centre
    np.testing.assert_allclose(quarter[middle], np.rot90(IMAGES[middle], -1, (1, 2)), atol=0.01)
    half = numpy(Augmentation(rotation=180).transform(IMAGES, one_draw(rotation=1)))
    np.testing.assert_allclose(half, IMAGES[:, ::-1, ::-1], atol=0.01)


def test_shear_is_in_radians():
    """On a ramp of rows, column q of a sheared image has moved by −sin φ · q."""
    rows = np.broadcast_to(np.arange(9.0)[:, None, None], IMAGES.shape)
    found = numpy(Augmentation(shear=0.1).transform(rows, one_draw(shear=1)))[0, 4, :, 0]
    np.testing.assert_allclose(found - 4, -np.sin(0.1) * (np.arange(13) - 6), atol=1e-5)
    assert math.degrees(math.asin(found[5] - found[6])) == pytest.approx(5.73, abs=0.01)


def test_flip_and_zoom():
    flip = Augmentation(horizontal_flip=True)
    assert np.array_equal(numpy(flip.transform(IMAGES, one_draw(flip=-1))), IMAGES[:, :, ::-1])
    assert np.array_equal(numpy(flip.transform(IMAGES, one_draw(flip=1))), IMAGES)
    found = numpy(Augmentation(zoom=0.5).transform(RAMP, one_draw(zoom_columns=-1)))[0, 0, :, 0]
    # half the field, twice as large
    np.testing.assert_allclose(found, 6 + (np.arange(13) - 6) / 2, atol=1e-5)


def test_channels_shift_each_by_its_own_value_and_stay_in_range():
    images = np.zeros(IMAGES.shape)
    images[0, 0, :3] = np.array([5.0, 128.0, 250.0])[:, None]
    found = numpy(Augmentation(channel_shift=20).transform(images, one_draw(red=1, blue=-0.5)))
    assert found[0, 0, :3].tolist() == [[25, 5, 0], [148, 128, 118], [255, 250, 240]]


def test_draws_are_uniform_on_both_sides_and_independent():
    """What becomes of a draw, SciPy tells above; here, what is drawn."""
    layer, calls = Augmentation(**EVERYTHING, seed=1), []
    layer.transform = lambda images, draws: calls.append(numpy(draws)) or images
    for _ in range(2):
        layer(np.zeros((1000, 1, 1, 3), "float32"), training=True)
    draws = np.concatenate(calls)
    assert draws.shape == (2000, 10)
    for column in draws.T:
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(draws.T) - np.eye(10)).max() < 0.09  # 4 standard errors


def test_a_kind_draws_the_same_whether_or_not_others_are_on():
    """So that scans of one kind and combinations of all differ in nothing else."""
    alone = Augmentation(width_shift=0.1, seed=3)
    beside = Augmentation(width_shift=0.1, channel_shift=1e-6, seed=3)
    np.testing.assert_allclose(
        numpy(alone(IMAGES, training=True)), numpy(beside(IMAGES, training=True)), atol=1e-4
    )


def test_seeds():
    one, same, other = (Augmentation(**LESSON, seed=seed) for seed in (7, 7, 8))
    first, second = (numpy(one(IMAGES, training=True)) for _ in range(2))
    assert np.array_equal(first, numpy(same(IMAGES, training=True)))
    assert np.array_equal(second, numpy(same(IMAGES, training=True)))
    assert not np.allclose(first, second)
    assert not np.allclose(first, numpy(other(IMAGES, training=True)))
    alike = numpy(one(np.repeat(IMAGES[:1], 4, 0), training=True))
    assert not np.allclose(alike[0], alike[1]) and not np.allclose(alike[1], alike[2])


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_compiled_in_a_model_it_acts_in_training_only():
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            Augmentation(**LESSON, seed=0),
            layers.GlobalAveragePooling2D(),
        ]
    )
    model.compile("sgd", "mse", jit_compile=True)
    means = IMAGES.mean((1, 2))
    assert model.evaluate(IMAGES, means, verbose=0) < 1e-6
    assert model.fit(IMAGES, means, verbose=0).history["loss"][0] > 1


def test_a_saved_model_holds_it(tmp_path):
    inputs = keras.Input((9, 13, 3))
    model = keras.Model(inputs, Augmentation(**EVERYTHING, seed=5, name="jitter")(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("jitter").get_config() == model.get_layer("jitter").get_config()
    for training in (False, True):
        found, expected = (numpy(m(IMAGES, training=training)) for m in (loaded, model))
        assert np.array_equal(found, expected)
        assert np.array_equal(found, IMAGES) == (not training)


def test_half_precision_rounds_the_result_alone():
    layer = Augmentation(**EVERYTHING, seed=0, dtype="mixed_float16")
    draws = RANDOM.uniform(-1, 1, (4, 10))
    found = layer.transform(IMAGES, draws)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    exact = numpy(Augmentation(**EVERYTHING).transform(IMAGES, draws))
    np.testing.assert_allclose(numpy(found), exact, atol=0.07)  # half a step of float16 at 255


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width_shift": -0.1}, "width_shift=-0.1: must be a share"),
        ({"height_shift": 20}, "height_shift=20: must be a share"),
        ({"shear": 5.7}, "in radians"),
        ({"rotation": math.nan}, "rotation=nan"),
        ({"channel_shift": 256}, "grey levels"),
        ({"zoom": 1.0}, "zoom=1.0"),
        ({"zoom": "0.1"}, "zoom='0.1'"),
    ],
)
def test_ranges_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)


def test_a_single_image_is_refused():
    with pytest.raises(ValueError, match=r"image\[None\]"):
        Augmentation(rotation=5).transform(IMAGES[0], NOTHING)
