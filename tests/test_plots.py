"""utils.plots: no picture without words, labels where numbers are, equal bytes for equals."""

import matplotlib as mpl

mpl.use("agg")

import io
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils import plots

pytestmark = pytest.mark.backend_free

WORDS = "A line that rises from one to two."


@pytest.fixture
def shown(monkeypatch):
    """Collect the images instead of displaying them."""
    images = []
    monkeypatch.setattr(plots, "display", images.append)
    return images


def line(**labels):
    fig, axes = plots.figure()
    axes.plot([1, 2])
    axes.set(**labels)
    return fig


def test_alt_text_travels_with_the_image(shown):
    plots.show(line(xlabel="step", ylabel="loss"), alt=WORDS)
    _, metadata = shown[0]._repr_png_()
    assert metadata["alt"] == WORDS


@pytest.mark.parametrize("alt", ["", "a plot"])
def test_a_picture_without_words_is_refused(shown, alt):
    with pytest.raises(ValueError, match="say in a sentence"):
        plots.show(line(xlabel="step", ylabel="loss"), alt=alt)


def test_an_axis_without_a_label_is_named(shown):
    with pytest.raises(ValueError, match="no label on y"):
        plots.show(line(xlabel="step"), alt=WORDS)


def test_names_and_shared_axes_need_no_label(shown):
    fig, (left, right) = plots.figure(1, 2, sharey=True)
    for axes in (left, right):
        axes.plot([1, 2], [0.1, 0.2])
        axes.set_xticks([0, 1], ["before", "after"])
    left.set(ylabel="loss")
    plots.show(fig, alt=WORDS)
    assert len(shown) == 1


def test_equal_figures_give_equal_bytes(shown):
    for _ in range(2):
        plots.show(line(xlabel="step", ylabel="loss"), alt=WORDS)
    assert shown[0].data == shown[1].data


def test_photographs_get_256_colours_and_keep_their_looks(shown):
    photograph = np.random.default_rng(0).integers(0, 40, (300, 400, 3)).cumsum(axis=1) % 256
    picture, axes = plots.figure(width=6, height=5)
    axes.imshow(photograph.astype("uint8"))
    axes.set(xticks=[], yticks=[])
    whole = io.BytesIO()
    picture.savefig(whole, format="png", dpi=100)
    plots.show(picture, alt="A photograph with more colours than a table of them holds.")
    reduced = Image.open(io.BytesIO(shown[0].data))
    assert whole.tell() > plots.LARGE and reduced.mode == "P"
    original = np.asarray(Image.open(whole).convert("RGB"), float)
    error = np.asarray(reduced.convert("RGB"), float) - original
    assert reduced.size == Image.open(whole).size and np.abs(error).mean() < 16


def test_names_at_the_ends_of_curves_do_not_overlap(shown):
    fig, axes = plots.figure()
    plots.curves(axes, {"a": [2, 1.0], "b": [2, 1.001], "c": [2, 1.002]}, y="loss")
    fig.canvas.draw()
    heights = sorted(t.get_window_extent().y0 for t in axes.texts)
    tall = axes.texts[0].get_window_extent().height
    assert all(above - below > 0.7 * tall for below, above in itertools.pairwise(heights))


def test_intervals_are_drawn_where_they_lie(shown):
    _fig, axes = plots.figure()
    plots.intervals(axes, {"a": (1.0, 0.5), "b": (2.0, 0.1)}, x="MSE", reference={"b": 3.0})
    spans = [c[2][0].get_segments()[0][:, 0].tolist() for c in axes.containers]
    assert spans == [[0.5, 1.5], [1.9, 2.1]]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["the lesson's figure"]


def test_twins_and_colour_bars_are_judged_by_what_they_show(shown):
    fig, axes = plots.figure()
    axes.plot([1, 2])
    axes.set(xlabel="step", ylabel="loss")
    twin = axes.twinx()
    twin.plot([2, 3])
    twin.set_ylabel("rate")
    plots.show(fig, alt=WORDS)
    fig, axes = plots.figure()
    fig.colorbar(axes.imshow([[1, 2], [3, 4]]))
    axes.set(xlabel="column", ylabel="row")
    with pytest.raises(ValueError, match="no label on y"):
        plots.show(fig, alt=WORDS)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_names_stand_beside_the_ends_of_their_curves(scale):
    fig, axes = plots.figure()
    axes.set_yscale(scale)
    plots.curves(axes, {"a": [1, 0.001], "b": [1, 0.01], "c": [1, np.nan]}, y="loss")
    fig.canvas.draw()
    place = {text.get_text(): text.get_position() for text in axes.texts}
    assert place["b"][1] == pytest.approx(0.01, rel=0.01, abs=0.06)
    assert place["c"] == pytest.approx((1, 1), abs=0.1)  # beside its last finite value


def test_a_curve_and_its_name_have_the_colour_asked_for():
    _, axes = plots.figure()
    plots.curves(axes, {"a": [1, 2], "b": [2, 3]}, y="loss", colours={"b": plots.COLOURS["pink"]})
    expected = [plots.COLOURS["blue"], plots.COLOURS["pink"]]
    assert [line.get_color() for line in axes.lines] == expected
    assert {t.get_text(): t.get_color() for t in axes.texts} == dict(
        zip("ab", expected, strict=True)
    )


def test_a_single_epoch_is_a_dot_and_nothing_is_refused(shown):
    _, axes = plots.figure()
    plots.curves(axes, {"a": [0.5]}, y="loss")
    assert axes.lines[0].get_marker() == "o"
    with pytest.raises(ValueError, match="no finite value"):
        plots.curves(axes, {"a": []}, y="loss")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 30), st.sampled_from(["linear", "log"]))
def test_labels_cover_neither_each_other_nor_a_point(seed, n, scale):
    rng = np.random.default_rng(seed)
    points = 2 + rng.random((n, 2)) * rng.choice([0.01, 1.0, 1.0], (n, 1))  # some in a heap
    names = ["x" * rng.integers(1, 30) + str(i) for i in range(n)]
    fig, axes = plots.figure()
    axes.set(xscale=scale, xlim=(1.9, 3.1), ylim=(1.9, 3.1), xlabel="x", ylabel="y")
    left_out = plots.labels(axes, points, names)
    fig.canvas.draw()
    dots = axes.transData.transform(points)
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert sorted([*boxes, *left_out]) == sorted(names)
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    for box in boxes.values():
        assert not any(box.contains(*dot) for dot in dots)
        assert axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max)
    plt.close(fig)


def test_a_lone_label_stands_beside_its_point_and_a_heap_loses_some():
    fig, axes = plots.figure()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    assert plots.labels(axes, [(0.5, 0.5)], ["alone"]) == []
    box, dot = axes.texts[0].get_window_extent(), axes.transData.transform((0.5, 0.5))
    assert 0 < box.x0 - dot[0] < 10 and box.y0 < dot[1] < box.y1
    assert plots.labels(axes, [(0.5, 0.5)] * 60, ["a rather long name"] * 60)
    plt.close(fig)


@pytest.mark.parametrize(("points", "names"), [([(0, 0)], []), ([], ["a"]), ([(0, np.nan)], ["a"])])
def test_labels_need_a_place_each(points, names):
    _, axes = plots.figure()
    with pytest.raises(ValueError, match="names for points"):
        plots.labels(axes, points, names)


def test_points_in_the_wrong_shape_are_not_reshaped():
    _, axes = plots.figure()
    with pytest.raises(ValueError, match=r"4 names for points of shape \(2, 4\)"):
        plots.labels(axes, [[0, 0, 0, 0], [1, 1, 1, 1]], list("abcd"))
