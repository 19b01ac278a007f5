"""The few figures several notebooks share, in one look: calm, labelled, colour-blind-safe.

Every figure ends in `show(figure, alt=...)`, so that no picture comes without words.
"""

import io
import re

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython.display import Image, display
from matplotlib.ticker import MaxNLocator

__all__ = ["COLOURS", "curves", "figure", "intervals", "show"]

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
    display(Image(png.getvalue(), alt=alt))


def _unlabelled(axis):
    """Tell whether an axis shows numbers but does not say of what; names need no label."""
    texts = [t.get_text().replace("mathdefault", "") for t in axis.get_ticklabels()]
    sides = [on for side, on in axis.get_tick_params().items() if side.startswith("label")]
    shown = axis.get_visible() and any(on for on in sides or [True] if isinstance(on, bool))
    numbers = any(re.search(r"\d", text) and not re.search(r"[^\W\d_]", text) for text in texts)
    return shown and numbers and not axis.get_label_text()


def curves(axes, lines, *, x="epoch", y, start=1):
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
        (line,) = axes.plot(steps, values, marker="o" if len(values) == 1 else None)
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
