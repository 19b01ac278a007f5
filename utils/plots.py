"""The few figures several notebooks share, in one look: calm, labelled, colour-blind-safe.

Every figure ends in `show(figure, alt=...)`, so that no picture comes without words.
"""

import io
import re

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from cycler import cycler
from IPython.display import Image, display
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

__all__ = ["COLOURS", "curves", "figure", "intervals", "labels", "show"]

# Okabe and Ito, "Color universal design" (2008), without its yellow, which is pale on white.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "sky": "#56B4E9",
    "amber": "#E69F00",
    "grey": "#7F7F7F",
    "black": "#222222",
}

LARGE = 40_000  # bytes of a PNG above which 256 colours must do

_STYLE = {
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "legend.frameon": False,
    "image.cmap": "cividis",
    # colour never speaks alone: the line style changes with it
    "axes.prop_cycle": cycler(color=list(COLOURS.values())[:6])
    + cycler(linestyle=["-", "--", "-.", ":", (0, (6, 1, 1, 1)), (0, (1, 1))]),
}

_DIAMOND = {"markersize": 9, "markerfacecolor": "none", "color": COLOURS["orange"], "zorder": 3}


def figure(rows=1, columns=1, *, width=8.0, height=3.6, **options):
    """Return `(figure, axes)` of one look; as `matplotlib.pyplot.subplots`.

    Parameters
    ----------
    rows, columns : int
        How many axes.
    width, height : float
        Size of the whole figure in inches; a picture has 100 pixels an inch.
    **options
        Passed on to `matplotlib.pyplot.subplots`, for instance `sharey=True`.
    """
    plt.rcParams.update(_STYLE)
    return plt.subplots(rows, columns, figsize=(width, height), **options)


def show(figure, alt):
    """Show a figure as a PNG of fixed size that carries a text for those who cannot see it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Closed afterwards, so that it is not shown twice.
    alt : str
        What the picture says, in a sentence or two.

    Raises
    ------
    ValueError
        If `alt` says nothing, or an axis that holds data has no label.
    """
    if len(alt.split()) < 4:
        raise ValueError(f"alt={alt!r}: say in a sentence what the picture shows.")
    for axes in figure.axes:
        sides = {"x": axes.xaxis, "y": axes.yaxis} | (
            {"z": axes.zaxis} if axes.name == "3d" else {}
        )
        bare = [name for name, axis in sides.items() if _unlabelled(axis)]
        if axes.axison and axes.has_data() and bare:
            raise ValueError(f"Axes {axes.get_title()!r}: no label on {' and '.join(bare)}.")
    png = io.BytesIO()
    # no "Software" entry: equal figures give equal bytes, whatever matplotlib's version
    figure.savefig(png, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)
    display(Image(_smaller(png), alt=alt))


def _smaller(png):
    """Return the bytes of a PNG, with 256 colours where it is large: photographs, mostly."""
    if png.tell() <= LARGE:
        return png.getvalue()
    reduced = io.BytesIO()
    with PIL.Image.open(png) as picture:
        colours = picture.convert("RGB").quantize(256, dither=PIL.Image.Dither.NONE)
        colours.save(reduced, "PNG", optimize=True)
    return reduced.getvalue()


def _unlabelled(axis):
    """Tell whether an axis shows numbers but does not say of what; names need no label."""
    texts = [t.get_text().replace("mathdefault", "") for t in axis.get_ticklabels()]
    sides = [on for side, on in axis.get_tick_params().items() if side.startswith("label")]
    shown = axis.get_visible() and any(on for on in sides or [True] if isinstance(on, bool))
    numbers = any(re.search(r"\d", text) and not re.search(r"[^\W\d_]", text) for text in texts)
    return shown and numbers and not axis.get_label_text()


def curves(axes, lines, *, x="epoch", y, start=1, colours=None):
    """Draw curves with their names at their right ends instead of in a legend.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    lines : dict of str to sequence of float
        A value per step for each name.
    x, y : str
        Axis labels, with units.
    start : int
        The first step's number.
    colours : dict of str to colour, optional
        For some of the names, others are ignored; the rest take theirs in turn, given or not.

    Raises
    ------
    ValueError
        If a line has no finite value.
    """
    lines = {name: np.asarray(values, float).ravel() for name, values in lines.items()}
    if empty := [name for name, values in lines.items() if not np.isfinite(values).any()]:
        raise ValueError(f"lines={empty}: no finite value to draw.")
    drawn = []
    for name, values in lines.items():
        steps = np.arange(start, start + len(values))
        colour = (colours or {}).get(name)
        (line,) = axes.plot(steps, values, color=colour, marker="o" if len(values) == 1 else None)
        last = np.flatnonzero(np.isfinite(values))[-1]
        drawn.append(((steps[last], values[last]), name, line.get_color()))
    axes.set(xlabel=x, ylabel=y)
    if isinstance(axes.xaxis.get_major_locator(), MaxNLocator):
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.autoscale_view()
    # gaps are shares of the axes' height, so that they hold for a logarithmic axis too
    to_shares = axes.transData + axes.transAxes.inverted()
    ends = sorted((*to_shares.transform(end)[::-1], name, colour) for end, name, colour in drawn)
    previous = -np.inf
    for height, right, name, colour in ends:
        previous = max(height, previous + 0.055)  # two names never lie on each other
        place = to_shares.inverted().transform((right + 0.015, previous))
        axes.text(*place, name, color=colour, va="center", clip_on=False)


def intervals(axes, rows, *, x, reference=None):
    """Draw one dot with its interval per row, and a hollow diamond for a figure quoted elsewhere.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw; rows run downwards.
    rows : dict of str to (float, float)
        Name, then mean and half-width of the interval, both in units of `x`.
    x : str
        Label of the horizontal axis, with its unit.
    reference : dict of str to float, optional
        The quoted figure for some of the rows.
    """
    reference, quoted = reference or {}, "the lesson's figure"
    for height, (name, (mean, half)) in enumerate(rows.items()):
        axes.errorbar(
            mean, height, xerr=half, fmt="o", capsize=3, color=COLOURS["blue"], linestyle="none"
        )
        if name in reference:
            axes.plot(reference[name], height, "D", label=quoted, **_DIAMOND)
            quoted = None  # one entry in the legend
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(xlabel=x, ylim=(len(rows) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)
    if set(reference) & set(rows):
        axes.legend()


def labels(axes, points, names, *, size=8.0, reach=90.0):
    """Write names beside their points: no two of a call overlap, and none covers a point.

    Each name in turn takes the nearest free place around its point, with a thin line back to it
    where that is not beside it. A name that finds none is left out: better no name than a heap.
    Call it last, when limits and layout of the axes will not change any more.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where the points are drawn.
    points : array
        (n, 2) places, in the units of the axes.
    names : sequence of str
        One a point; earlier ones choose first.
    size : float
        Of the letters, in points.
    reach : float
        How far from its point a name may stand, in pixels.

    Returns
    -------
    list of str
        The names that found no place.

    Raises
    ------
    ValueError
        If there is not one name a point, or a point is not finite.
    """
    points = np.asarray(points, float)
    points = points if points.size else points.reshape(0, 2)
    if points.shape != (len(names), 2) or not np.isfinite(points).all():
        raise ValueError(f"Received {len(names)} names for points of shape {points.shape}.")
    axes.figure.draw_without_rendering()  # settles the layout
    dots = axes.transData.transform(points)
    to_data = axes.transData.inverted().transform
    inside, left_out = axes.get_window_extent(), []
    boxes = [np.hstack([dot - 3, dot + 3]) for dot in dots]  # left, bottom, right, top
    for dot, name in zip(dots, names, strict=True):
        text = axes.text(*to_data(dot), name, size=size, ha="center", va="center", in_layout=False)
        extent = text.get_window_extent()
        half = np.array([extent.width, extent.height]) / 2 + 1
        place = _free_place(dot, half, np.array(boxes), len(dots), inside, reach)
        if place is None:
            text.remove()
            left_out.append(name)
            continue
        text.set_position(to_data(place))
        boxes.append(np.hstack([place - half, place + half]))
        line = _line(dot, place, half)
        if len(line):
            boxes += list(np.hstack([line - 1, line + 1]))
            grey = {"color": COLOURS["grey"], "linewidth": 0.6, "zorder": 1.5}
            axes.add_artist(Line2D(*to_data(line).T, **grey))
    return left_out


def _free_place(dot, half, boxes, n_dots, inside, reach):
    """Return the nearest free centre around `dot` for a name of that half-size, or None.

    The line to it may pass over dots, the first of the `boxes`, but not over names.
    """
    angles, gaps = np.arange(16) * np.pi / 8, np.arange(5, reach + 1, 5)
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    places = dot + (directions * (half + gaps[:, None, None])).reshape(-1, 2)
    fits = ((places - half >= inside.min) & (places + half <= inside.max)).all(axis=1)
    for place in places[fits & ~_meets(places - half, places + half, boxes)]:
        line = _line(dot, place, half)
        if not _meets(line, line, boxes[n_dots:]).any():
            return place
    return None


def _meets(low, high, boxes):
    """Tell which of the boxes from `low` to `high`, (n, 2) each, meet any of `boxes`."""
    apart = (low[:, None] >= boxes[:, 2:]) | (high[:, None] <= boxes[:, :2])
    return (~apart.any(axis=2)).any(axis=1)


def _line(dot, place, half):
    """Return steps of 4 pixels from a point to its name; none where that stands beside it."""
    way = np.clip(dot, place - half, place + half) - dot
    length = np.hypot(*way)
    return dot + way * (np.arange(5, length, 4) / length)[:, None] if length > 12 else dot[None][:0]
