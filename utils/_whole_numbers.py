"""Whole numbers, and rows of ids, checked in one place."""

import operator

import numpy as np


def whole_number(name, number, least):
    """Return a number as an int, or raise a ValueError that names it."""
    try:
        whole = least - 1 if isinstance(number, bool) else operator.index(number)
    except TypeError:
        whole = least - 1
    if whole < least:
        raise ValueError(f"{name}={number!r} is not a whole number of at least {least}.")
    return whole


def checked_ids(ids, size=2**31, *, least=0, hint=""):
    """Return one row of ids, (n,) int64.

    Parameters
    ----------
    ids : array
        (n,) whole numbers from 0.
    size : int
        Of the vocabulary: all ids are below it.
    least : int
        The shortest row that will do.
    hint : str
        What else to tell whoever sends something else.

    Raises
    ------
    ValueError
        If it is no such row.
    """
    row = np.asarray(ids)
    if row.shape == (0,):
        row = row.astype(np.int64)  # an empty list does not tell what it holds
    whole = row.dtype.kind in "iu"
    within = not (whole and row.size) or (row.min() >= 0 and row.max() < size)
    if not (whole and within and row.ndim == 1 and len(row) >= least):
        seen = f" from {row.min()} to {row.max()}" if whole and row.size else ""
        enough = f", {least} of them or more," if least else ""
        raise ValueError(
            f"Received {row.dtype} ids of shape {row.shape}{seen}; one row of ids from 0 to "
            f"{size - 1}{enough} is accepted.{hint}"
        )
    return row.astype(np.int64)
