"""Random samples and splits by group: row numbers and masks, never copies of files."""

from numbers import Integral, Real

import numpy as np

__all__ = ["check_disjoint", "sample", "split_by_group"]


def sample(rows_of, rows, *, seed, stratify=None):
    """Draw some rows at random, each at most once.

    Parameters
    ----------
    rows_of : int or sequence
        What to draw from: a number of rows, or anything of that length, such as the labels.
    rows : int
        How many to draw.
    seed : int
        Same seed, same rows.
    stratify : array-like, optional
        (n,): labels, drivers or folders of which the sample keeps the shares, each to within
        one row.

    Returns
    -------
    numpy.ndarray
        (rows,) int64, ascending. Of one seed, a smaller sample lies within a larger one
        (without `stratify`).

    Raises
    ------
    ValueError
        If there are fewer rows than asked for, or `stratify` has another length.
    """
    n = rows_of if isinstance(rows_of, Integral) else len(rows_of)
    if not isinstance(rows, Integral) or not 1 <= rows <= n:
        raise ValueError(f"rows={rows!r}: must be a whole number from 1 to the {n} there are.")
    random = np.random.default_rng(seed)
    if stratify is None:
        return np.sort(random.permutation(n)[:rows])
    stratify = _column("stratify", stratify, n)
    _, stratum = np.unique(stratify, return_inverse=True)
    share = np.bincount(stratum) * (rows / n)
    quota = np.floor(share).astype(int)
    largest_remainders = np.argsort(quota - share, kind="stable")[: rows - quota.sum()]
    quota[largest_remainders] += 1
    drawn = [
        random.permutation(np.flatnonzero(stratum == number))[:count]
        for number, count in enumerate(quota)
    ]
    return np.sort(np.concatenate(drawn))


def split_by_group(groups, *, held_out, seed=None, labels=None):
    """Split rows into training and validation with no group on both sides.

    Frames of one driver resemble each other: a split by random rows asks the model about
    people it has seen, and promises a score that strangers will not give.

    Parameters
    ----------
    groups : array-like
        (n,): the group of each row, such as its driver.
    held_out : sequence, int or float
        What goes to validation: groups by name; or so many groups (int), or about this share
        of the rows in whole groups (float between 0 and 1), both drawn with `seed`.
    seed : int, optional
        Needed where groups are drawn.
    labels : array-like, optional
        (n,): classes, every one of which then has to be on the training side.

    Returns
    -------
    train, validation : numpy.ndarray
        (n,) bool masks, one the opposite of the other.

    Raises
    ------
    ValueError
        If a group is not there, a side would be empty, `seed` is missing, or a class has no
        training row.
    """
    groups = np.asarray(groups)
    groups = _column("groups", groups, len(groups))
    names, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError(f"groups holds {len(names)} group: two sides need at least two.")
    if isinstance(held_out, (Integral, Real)) and not isinstance(held_out, (bool, np.bool_)):
        chosen = _draw_groups(held_out, sizes, seed)
    else:
        wanted = np.unique(np.atleast_1d(np.asarray(held_out)))
        unknown = [str(name) for name in wanted if name not in names]
        if unknown:
            raise ValueError(
                f"held_out: no rows of {', '.join(unknown)}; the groups are {_some(names)}."
            )
        chosen = np.flatnonzero(np.isin(names, wanted))
        if not 0 < len(chosen) < len(names):
            raise ValueError(
                f"held_out names {len(chosen)} of {len(names)} groups: leave some to each side."
            )
    validation = np.isin(group, chosen)
    if labels is not None:
        labels = _column("labels", labels, len(groups))
        unseen = np.setdiff1d(labels[validation], labels[~validation])
        if len(unseen):
            raise ValueError(
                f"Class {_some(unseen)} has rows in the held-out groups {_some(names[chosen])} "
                f"only, so no model could learn it. Hold out other groups (another seed)."
            )
    return ~validation, validation


def check_disjoint(groups, train, validation):
    """Refuse a split that has a group on both sides.

    Parameters
    ----------
    groups : array-like
        (n,): the group of each row. With the file names as groups: no file on both sides.
    train, validation : array-like
        Masks (n,) or row numbers.

    Raises
    ------
    ValueError
        If groups are shared; it names them.
    """
    groups = np.asarray(groups)
    shared = np.intersect1d(groups[np.asarray(train)], groups[np.asarray(validation)])
    if len(shared):
        raise ValueError(
            f"{len(shared)} of {len(np.unique(groups))} groups are both in training and in "
            f"validation: {_some(shared)}. Split with split_by_group."
        )


def _draw_groups(held_out, sizes, seed):
    """Return the numbers of randomly drawn groups: so many, or about that share of the rows."""
    if seed is None:
        raise ValueError(f"held_out={held_out!r} draws groups at random: give a seed.")
    order = np.random.default_rng(seed).permutation(len(sizes))
    if isinstance(held_out, Integral):
        if not 1 <= held_out < len(sizes):
            raise ValueError(f"held_out={held_out}: must be from 1 to {len(sizes) - 1} groups.")
        return order[:held_out]
    if not 0 < held_out < 1:
        raise ValueError(f"held_out={held_out!r}: a share of the rows lies between 0 and 1.")
    share = np.cumsum(sizes[order])[:-1] / sizes.sum()  # with 1, 2, … groups, never all
    return order[: 1 + int(np.argmin(abs(share - held_out)))]


def _column(name, values, n):
    values = np.asarray(values)
    if values.shape != (n,):
        raise ValueError(f"{name} has shape {values.shape}: must be ({n},), one for each row.")
    return values


def _some(names, most=5):
    """Return the first few of some names."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")
