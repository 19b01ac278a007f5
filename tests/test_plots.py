"""utils.plots: no picture without words, labels where numbers are, equal bytes for equals."""

import matplotlib as mpl

mpl.use("agg")

import itertools

import numpy as np
import pytest

from utils import plots

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


def test_a_single_epoch_is_a_dot_and_nothing_is_refused(shown):
    _, axes = plots.figure()
    plots.curves(axes, {"a": [0.5]}, y="loss")
    assert axes.lines[0].get_marker() == "o"
    with pytest.raises(ValueError, match="no finite value"):
        plots.curves(axes, {"a": []}, y="loss")
