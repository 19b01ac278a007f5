"""Computational graphs in the lesson's shapes.

A rectangle is what comes in, a circle what is hidden inside, a triangle what goes out; an arrow is
a layer.
"""

import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle

from utils.plots import COLOURS

__all__ = ["draw_graph"]

_FILL = {"input": COLOURS["sky"], "hidden": COLOURS["amber"], "output": COLOURS["green"]}
_RADIUS = 0.36


def draw_graph(axes, shapes, arrows, *, title=None):
    """Draw a computational graph.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw; one unit is as long across as upwards, and a shape is 0.72 wide.
    shapes : dict of str to (str, float, float) or (str, float, float, str)
        Its symbol, written inside, then its kind ("input", "hidden" or "output"), its place
        across and upwards, and a few words to stand beside it.
    arrows : sequence of (str, str) or (str, str, str)
        The symbols an arrow goes from and to, and what stands at its middle. From a symbol to
        itself it is a loop. Arrows with the same words get the same colour: they are one layer.
    title : str, optional
        Of the axes.

    Raises
    ------
    ValueError
        If there is no shape, a kind is unknown, an arrow starts or ends at no shape
        or joins two that lie too close together, or there are more names of layers than colours.
    """
    if not shapes:
        raise ValueError("shapes is empty: there is nothing to draw.")
    places = {name: np.array(shape[1:3], float) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if shape[0] not in _FILL:
            raise ValueError(f"Shape {name!r}: {shape[0]!r} is none of {', '.join(_FILL)}.")
    for start, end, *_ in arrows:
        if start not in places or end not in places:
            raise ValueError(f"Arrow {start!r} to {end!r}: the shapes are {', '.join(places)}.")
        if start != end and np.hypot(*(places[end] - places[start])) < 2 * _RADIUS + 0.12:
            raise ValueError(
                f"Arrow {start!r} to {end!r}: they lie less than {2 * _RADIUS + 0.12} apart."
            )
    words = dict.fromkeys(arrow[2] for arrow in arrows if len(arrow) > 2)
    inks = [COLOURS[name] for name in ("blue", "orange", "green", "pink", "black")]
    if len(words) > len(inks):
        raise ValueError(f"{len(words)} names of layers; there are colours for {len(inks)}.")
    ink = dict(zip(words, inks, strict=False))
    for start, end, *word in arrows:
        colour = ink[word[0]] if word else COLOURS["grey"]
        if start == end:
            _loop(axes, places[start], word, colour)
        else:
            _arrow(axes, places[start], places[end], word, colour)
    for name, (kind, x, y, *beside) in shapes.items():
        axes.add_patch(_patch(kind, x, y))
        axes.text(x, y - 0.08 * (kind == "output"), name, ha="center", va="center", size=9.5)
        if beside:
            axes.text(x + _RADIUS + 0.1, y, beside[0], va="center", size=8.5, color=COLOURS["grey"])
    across, up = np.array(list(places.values())).T
    axes.set(xlim=(across.min() - 0.9, across.max() + 0.9), aspect="equal")
    axes.set(ylim=(up.min() - 0.6, up.max() + 0.6))
    axes.set_axis_off()
    if title:
        axes.set_title(title, loc="center", size=10)


def _patch(kind, x, y):
    style = {"facecolor": _FILL[kind], "edgecolor": COLOURS["black"], "alpha": 0.9, "zorder": 2}
    r = _RADIUS
    if kind == "input":
        return Rectangle((x - r, y - 0.65 * r), 2 * r, 1.3 * r, **style)
    if kind == "hidden":
        return Circle((x, y), r, **style)
    return Polygon([(x - 1.1 * r, y - 0.8 * r), (x + 1.1 * r, y - 0.8 * r), (x, y + r)], **style)


def _arrow(axes, start, end, word, colour):
    along = (end - start) / np.hypot(*(end - start))
    start, end = start + along * (_RADIUS + 0.04), end - along * (_RADIUS + 0.06)
    axes.add_patch(FancyArrowPatch(start, end, color=colour, **_HEAD))
    if word:
        (x, y), (right, up) = (start + end) / 2, along
        if abs(up) < 0.3:
            place, side = (x, y + 0.2), "center"
        elif abs(right) > 0.3:  # on the outer side of a leaning arrow
            place, side = (x - 0.1 * np.sign(right), y + 0.16), "right" if right > 0 else "left"
        else:
            place, side = (x + 0.12, y), "left"
        axes.text(*place, word[0], color=colour, size=8.5, ha=side, va="center")


def _loop(axes, place, word, colour):
    r = (_RADIUS + 0.03) * np.sqrt(0.5)
    ends = (place[0] + r, place[1] + r), (place[0] + r, place[1] - r)
    axes.add_patch(FancyArrowPatch(*ends, connectionstyle="arc3,rad=-1.7", color=colour, **_HEAD))
    if word:
        axes.text(place[0] + r + 0.55, place[1], word[0], color=colour, size=8.5, va="center")


_HEAD = {"arrowstyle": "-|>", "mutation_scale": 12, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
