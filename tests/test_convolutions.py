"""Convolution and pooling: NumPy = SciPy = Keras, for any size; and notebook 01's own functions."""

import ast
import functools
import re
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libreoffice import fresh
from scipy import ndimage, signal

from utils.convolutions import convolve, max_pool
from utils.spreadsheets import position, write_convolutions

SOURCE = Path(__file__).parent.parent / "notebooks" / "src" / "01_convolutions.py"
PADDINGS = st.sampled_from(["valid", "same"])
STRIDES = st.integers(1, 4)
few = settings(max_examples=25, deadline=None)
# JAX compiles each new shape of a convolution, which takes a second or two
few_in_keras = few if keras.backend.backend() == "tensorflow" else settings(few, max_examples=3)


@functools.cache
def cells_of_notebook():
    return ast.parse(SOURCE.read_text(encoding="utf-8")).body


def from_notebook(*names, **given):
    """Return the namespace of some of the notebook's functions, run without its other cells."""
    cells = cells_of_notebook()
    wanted = [n for n in cells if isinstance(n, ast.FunctionDef) and n.name in names]
    assert {n.name for n in wanted} == set(names)
    space = {"np": np, "convolve": convolve, "max_pool": max_pool} | given
    exec(compile(ast.Module(wanted, []), SOURCE.name, "exec"), space)
    return space


@st.composite
def images_and_filters(draw):
    """Draw an image and filters that fit into it, of any size and number of channels."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    size = draw(st.integers(1, height)), draw(st.integers(1, width))
    channels, filters = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.normal(size=(height, width, channels)), rng.normal(size=(*size, channels, filters))


def as_keras(layer, image, weights=None):
    layer.build((1, *image.shape))
    if weights is not None:
        layer.set_weights([weights])
    output = layer(image[None].astype("float32"))
    return keras.ops.convert_to_numpy(output)[0]


# ---- convolve ----


@few_in_keras
@given(images_and_filters(), STRIDES, PADDINGS)
def test_convolve_is_keras_conv2d(drawn, stride, padding):
    image, filters = drawn
    layer = keras.layers.Conv2D(
        filters.shape[-1], filters.shape[:2], strides=stride, padding=padding, use_bias=False,
        data_format="channels_last",
    )  # fmt: skip
    ours, theirs = (
        convolve(image, filters, stride=stride, padding=padding),
        as_keras(layer, image, filters),
    )
    assert ours.shape == theirs.shape
    scale = (
        np.abs(ours).max() + np.abs(filters).sum()
    )  # sums that cancel keep their terms' rounding
    np.testing.assert_allclose(theirs / scale, ours / scale, rtol=0, atol=1e-6)


@few
@given(images_and_filters(), STRIDES)
def test_convolve_is_scipy_correlate(drawn, stride):
    image, filters = drawn
    expected = np.stack(
        [
            sum(
                signal.correlate2d(image[:, :, c], filters[:, :, c, f], "valid")
                for c in range(image.shape[2])
            )
            for f in range(filters.shape[3])
        ],
        axis=-1,
    )[::stride, ::stride]
    np.testing.assert_allclose(convolve(image, filters, stride=stride), expected, atol=1e-12)


@few
@given(images_and_filters())
def test_same_with_stride_1_is_scipy_with_zeros_around(drawn):
    image, filters = drawn
    # an even filter has no middle: Keras puts the surplus zeros below and right
    origin = [-1 if n % 2 == 0 else 0 for n in filters.shape[:2]]
    for f in range(filters.shape[3]):
        expected = sum(
            ndimage.correlate(image[:, :, c], filters[:, :, c, f], mode="constant", origin=origin)
            for c in range(image.shape[2])
        )
        ours = convolve(image, filters, padding="same")[:, :, f]
        np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_a_single_one_in_the_filter_copies_the_image():
    image = np.random.default_rng(0).normal(size=(5, 6, 2))
    filters = np.zeros((3, 3, 2, 1))
    filters[1, 1, 1, 0] = 1
    np.testing.assert_array_equal(convolve(image, filters, padding="same")[:, :, 0], image[:, :, 1])


@pytest.mark.parametrize(
    ("image", "filters", "options", "message"),
    [
        ((5, 5), (3, 3, 1, 1), {}, r"image has shape \(5, 5\)"),
        ((5, 5, 1), (3, 3), {}, r"filters has shape \(3, 3\)"),
        ((5, 5, 2), (3, 3, 1, 1), {}, "2 channels, the filters have 1"),
        ((2, 5, 1), (3, 3, 1, 1), {}, r"\(3, 3\) does not fit into an image of \(2, 5\)"),
        ((0, 5, 1), (3, 3, 1, 1), {"padding": "same"}, r"does not fit into an image of \(0, 5\)"),
        ((5, 5, 1), (0, 3, 1, 1), {}, r"filters has shape \(0, 3, 1, 1\)"),
        ((5, 5, 1), (3, 3, 1, 1), {"padding": "full"}, "'full' is neither 'valid' nor 'same'"),
    ],
)
def test_what_does_not_fit_is_named(image, filters, options, message):
    with pytest.raises(ValueError, match=message):
        convolve(np.ones(image), np.ones(filters), **options)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, (2, 2), "2", True])
def test_strides_and_sizes_are_whole_numbers(wrong):
    image = np.ones((5, 5, 1))
    with pytest.raises(ValueError, match=f"stride={re.escape(repr(wrong))} is not a whole number"):
        convolve(image, np.ones((3, 3, 1, 1)), stride=wrong)
    with pytest.raises(ValueError, match="stride=None is not a whole number"):
        convolve(image, np.ones((3, 3, 1, 1)), stride=None)
    with pytest.raises(ValueError, match=f"size={re.escape(repr(wrong))} is not a whole number"):
        max_pool(image, wrong)
    with pytest.raises(ValueError, match=f"stride={re.escape(repr(wrong))} is not a whole number"):
        max_pool(image, 2, stride=wrong)
    assert max_pool(image, np.int64(2), stride=np.int64(1)).shape == (4, 4, 1)


# ---- max_pool ----


@few_in_keras
@given(images_and_filters(), st.integers(1, 5), STRIDES, PADDINGS)
def test_max_pool_is_keras_maxpooling2d(drawn, size, stride, padding):
    image = drawn[0]
    if padding == "valid":
        size = min(size, *image.shape[:2])
    layer = keras.layers.MaxPooling2D(
        size, strides=stride, padding=padding, data_format="channels_last"
    )
    ours = max_pool(image, size, stride=stride, padding=padding)
    np.testing.assert_array_equal(as_keras(layer, image), ours.astype("float32"))


@few
@given(images_and_filters(), st.integers(1, 5))
def test_max_pool_is_a_maximum_filter_seen_at_every_other_cell(drawn, size):
    image = drawn[0]
    size = min(size, *image.shape[:2])
    rows, columns = image.shape[0] // size, image.shape[1] // size
    for channel in range(image.shape[2]):
        # origin: scipy's window ends at the cell, ours begins there
        wide = ndimage.maximum_filter(image[:, :, channel], size, origin=-((size - 1) // 2) - (
            0 if size % 2 else 1), mode="constant", cval=-np.inf)  # fmt: skip
        expected = wide[: rows * size : size, : columns * size : size]
        np.testing.assert_array_equal(max_pool(image, size)[:, :, channel], expected)


# ---- what notebook 01 writes down itself ----


@few
@given(images_and_filters())
def test_the_notebooks_loops_are_the_same(drawn):
    image, filters = drawn
    space = from_notebook("slide", "pool")
    for f in range(filters.shape[3]):
        np.testing.assert_allclose(
            space["slide"](image, filters[..., f]), convolve(image, filters)[:, :, f], atol=1e-12
        )
    if min(image.shape[:2]) >= 2:
        np.testing.assert_array_equal(space["pool"](image[:, :, 0]), max_pool(image)[:, :, 0])


@few
@given(st.integers(0, 2**32 - 1), st.integers(8, 11), st.integers(8, 11))
def test_the_notebooks_gradients_against_finite_differences(seed, height, width):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(height, width, 1))
    weights = [rng.normal(size=(3, 3, 1, 2)), rng.normal(size=(3, 3, 2, 2))]
    weights += [rng.normal(size=((height - 4) // 2, (width - 4) // 2, 2))]
    space = from_notebook(
        "slide", "loss_of", "back_through_pool", "back_to_filters", "back_to_input",
        seven=image[:, :, 0],
    )  # fmt: skip
    conv1 = convolve(image, weights[0])
    conv2 = convolve(conv1, weights[1])
    blame = 2 * ((max_pool(conv2) * weights[2]).sum() - 1)
    shares2 = space["back_through_pool"](conv2, blame * weights[2])
    shares1 = space["back_to_input"](conv1, weights[1], shares2)
    gradients = [space["back_to_filters"](image, shares1), space["back_to_filters"](conv1, shares2)]
    gradients += [blame * max_pool(conv2)]
    # along a random direction: one number for all weights at once
    direction = [rng.normal(size=w.shape) for w in weights]

    def loss(step):
        return space["loss_of"](*(w + step * d for w, d in zip(weights, direction, strict=True)))

    expected = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
    scale = sum(np.abs(g * d).sum() for g, d in zip(gradients, direction, strict=True))
    slopes = [(loss(h) - loss(-h)) / (2 * h) for h in (1e-6, 1e-8)]
    # a largest of four that changes within ± h is a corner; a smaller h leaves it out
    assert min(abs(slope - expected) for slope in slopes) <= 1e-4 * scale


def test_a_shared_filter_cannot_tell_swapped_channels_apart():
    rng = np.random.default_rng(0)
    image, shared = rng.normal(size=(6, 6, 2)), rng.normal(size=(3, 3, 1, 4))
    both = np.repeat(shared, 2, axis=2)
    np.testing.assert_allclose(convolve(image, both), convolve(image[:, :, ::-1], both), atol=1e-12)
    own = rng.normal(size=(3, 3, 2, 4))
    assert np.abs(convolve(image, own) - convolve(image[:, :, ::-1], own)).max() > 0.1


# ---- the lesson's sheet ----


@pytest.fixture
def lesson_sheet(course_sheet):
    return pd.DataFrame(course_sheet("conv-conv-example"))


def addressed(sheet, address, step=1):
    row, column, height, width = position(address)
    return sheet.iloc[row : row + height : step, column : column + width : step].to_numpy(float)


def stacked(sheet, *addresses, step=1):
    """Return blocks of the lesson's sheet as channels."""
    return np.stack([addressed(sheet, address, step) for address in addresses], axis=-1)


@pytest.fixture
def lesson_inputs(lesson_sheet):
    first = stacked(lesson_sheet, "AD11:AF13", "AD38:AF40")[:, :, None, :]
    second = [stacked(lesson_sheet, "BI11:BK13", "BI15:BK17")]
    second += [stacked(lesson_sheet, "BI38:BK40", "BI42:BK44")]
    weights = stacked(lesson_sheet, "DN4:EL26", "DN33:EL55", step=2)
    return addressed(lesson_sheet, "A2:AB29"), first, np.stack(second, axis=-1), weights


@pytest.mark.real
def test_every_cell_of_the_lessons_sheet(lesson_sheet, lesson_inputs):
    image, first, second, weights = lesson_inputs
    conv1 = convolve(image[:, :, None], first)
    # the sheet's conv 2 reads one blank column too many, and its pooling takes what is left
    conv2 = convolve(np.pad(conv1, ((0, 0), (0, 1), (0, 0))), second)
    pooled = max_pool(conv2, padding="same")
    expected = [stacked(lesson_sheet, "AH3:BG28", "AH32:BG57")]
    expected += [stacked(lesson_sheet, "BM4:CK27", "BM33:CK56")]
    expected += [stacked(lesson_sheet, "CM4:DK26", "CM33:DK55", step=2)]
    for ours, cells in zip((conv1, conv2, pooled), expected, strict=True):
        np.testing.assert_allclose(ours, cells, rtol=1e-13, atol=1e-13)
    assert conv2.shape == (24, 25, 2) and not conv2[:, 24].any()
    assert (pooled * weights).sum() == pytest.approx(
        addressed(lesson_sheet, "EN4")[0, 0], rel=1e-13
    )
    assert round((pooled[:, :12] * weights[:, :12]).sum(), 4) == 1814.9177


@pytest.mark.real
def test_the_notebook_finds_the_sheets_blocks(lesson_sheet, lesson_inputs):
    space = from_notebook("of_sheet", "lesson_inputs")
    for ours, theirs in zip(space["lesson_inputs"](lesson_sheet), lesson_inputs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.real
def test_libreoffice_computes_the_lessons_activation(lesson_inputs, tmp_path):
    image, first, second, weights = lesson_inputs
    path = tmp_path / "sheet.xlsx"
    at = write_convolutions(path, image, first, second, weights[:, :12])["activation"]
    found = fresh(path, tmp_path)["convolutions"][position(at)[:2]]
    assert found == pytest.approx(1814.9177220748, abs=1e-9)
