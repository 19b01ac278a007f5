"""Seeded generators that write a stand-in for each data set, in the real files' own format.

A stand-in lets every notebook run with no download. What is more, its truth is planted:
:func:`truth` hands back the biases, polarities or clusters that a model should recover.
It is not the real data, and no number measured on it is a finding about the world.
"""

import importlib
from pathlib import Path

import numpy as np

from utils import switches
from utils._atomic import folder_once
from utils.standins._files import write_npz

__all__ = ["edition_of", "is_standin", "make", "names", "truth"]

TRUTH = "planted_truth.npz"


def names():
    """Return the names of the data sets that have a stand-in."""
    return tuple(
        sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))
    )


def make(name, *, scale=None, seed=0):
    """Write a stand-in once and return its folder.

    The folder appears under its name only when it is whole, so two processes may ask
    for the same stand-in at once.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    scale : {"quick", "full"}, optional
        How large; by default what `LESSONS_SCALE` says.
    seed : int
        The same seed gives the same files, byte for byte.

    Returns
    -------
    pathlib.Path
        `build/standins/<folder>-v<version>-<scale>-seed<seed>/`, in the format of the real files.

    Raises
    ------
    ValueError
        If there is no such stand-in or no such scale.
    """
    scale = switches.scale() if scale is None else scale
    if name not in names():
        raise ValueError(f"There is no stand-in for {name!r}, only for {', '.join(names())}.")
    if scale not in ("quick", "full"):
        raise ValueError(f"scale={scale!r} is not 'quick' or 'full'.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed={seed!r} is not a whole number from 0.")
    generator = importlib.import_module(f"utils.standins.{name}")
    name_of = f"{generator.FOLDER}-v{generator.VERSION}-{scale}-seed{seed}"

    def write(draft):
        planted = generator.write(draft, scale=scale, seed=int(seed))
        write_npz(draft / TRUTH, planted)

    return folder_once(switches.build_folder() / "standins" / name_of, write)


def truth(name, *, scale=None, seed=0):
    """Return what was planted in a stand-in.

    Parameters
    ----------
    name, scale, seed
        As for :func:`make`.

    Returns
    -------
    dict of str to numpy.ndarray
        The `write` function of each module in this package documents its entries.
    """
    with np.load(make(name, scale=scale, seed=seed) / TRUTH, allow_pickle=False) as planted:
        return {key: planted[key] for key in planted.files}


def is_standin(folder):
    """Return whether `folder` holds a stand-in that :func:`make` wrote."""
    return (Path(folder) / TRUTH).is_file()


def edition_of(folder):
    """Return a stand-in's generator version, scale and seed, such as `"v1-quick-seed0"`."""
    return "-".join(Path(folder).name.rsplit("-", 3)[1:])
