"""Computational graphs: what is drawn is what was asked for."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle

from utils.graphs import draw_graph

pytestmark = pytest.mark.backend_free

SHAPES = {"x": ("input", 0, 0), "h": ("hidden", 0, 1.5, "units"), "y": ("output", 0, 3)}


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_every_shape_and_arrow_is_there(axes):
    draw_graph(axes, SHAPES, [("x", "h", "in"), ("h", "h", "hidden"), ("h", "y")], title="loop")
    kinds = [type(patch) for patch in axes.patches]
    assert kinds.count(FancyArrowPatch) == 3
    assert {Rectangle, Circle, Polygon} <= set(kinds)
    words = [text.get_text() for text in axes.texts]
    assert sorted(words) == ["h", "hidden", "in", "units", "x", "y"]
    assert axes.get_title(loc="center") == "loop"


def test_arrows_of_one_name_have_one_colour(axes):
    arrows = [("x", "h", "same"), ("h", "y", "same"), ("x", "y", "other")]
    draw_graph(axes, SHAPES, arrows)
    colours = [p.get_edgecolor() for p in axes.patches if isinstance(p, FancyArrowPatch)]
    assert colours[0] == colours[1] != colours[2]


def test_arrows_do_not_enter_the_shapes(axes):
    draw_graph(axes, SHAPES, [("x", "h")])
    (arrow,) = (p for p in axes.patches if isinstance(p, FancyArrowPatch))
    (start_y, end_y) = (point[1] for point in arrow._posA_posB)
    assert 0.36 < start_y < end_y < 1.5 - 0.36


def test_refusals(axes):
    with pytest.raises(ValueError, match="'x': 'square' is none of input, hidden, output"):
        draw_graph(axes, {"x": ("square", 0, 0)}, [])
    with pytest.raises(ValueError, match="Arrow 'x' to 'z': the shapes are x, h, y"):
        draw_graph(axes, SHAPES, [("x", "z")])
    with pytest.raises(ValueError, match="shapes is empty"):
        draw_graph(axes, {}, [])
    near = {"x": ("input", 0, 0), "h": ("hidden", 0.75, 0)}
    with pytest.raises(ValueError, match=r"they lie less than 0\.84 apart"):
        draw_graph(axes, near, [("x", "h")])
    with pytest.raises(ValueError, match="6 names of layers; there are colours for 5"):
        draw_graph(axes, SHAPES, [("x", "h", str(n)) for n in range(6)])
