"""The log loss as Kaggle computes it, and the clip that bounds what one mistake costs."""

import numpy as np

__all__ = ["clip_probabilities", "log_loss"]

SMALLEST = 1e-15  # Kaggle's log loss moves probabilities this far from 0 and 1


def clip_probabilities(probabilities, largest):
    """Move probabilities away from 0 and 1, so that no single mistake costs too much.

    With k classes they end up between `(1 - largest) / (k - 1)` and `largest`, as in the lesson's
    State Farm notebook, which used .93. As there, rows are not divided by their sum: Kaggle's
    log loss does that (as does `log_loss`).

    Parameters
    ----------
    probabilities : array_like
        (rows, k), or (rows,) or (rows, 1) for two classes, then clipped to
        `1 - largest` … `largest`.
    largest : float
        Above 1 / k, at most 1.

    Returns
    -------
    numpy.ndarray
        Of the same shape and float type.

    Raises
    ------
    ValueError
        If `largest` is out of range.
    """
    probabilities = floats(probabilities)
    classes = _classes(probabilities)
    if not 1 / classes < largest <= 1:
        raise ValueError(
            f"clip={largest}: the largest probability of {classes} classes is above "
            f"{1 / classes:.3g} and at most 1; the lesson used .93 for ten."
        )
    return np.clip(probabilities, (1 - largest) / (classes - 1), largest)


def log_loss(labels, probabilities, clip=None):
    """Return the log loss as Kaggle computes it.

    Mean of -log(probability of the true class), after each row is divided by its sum and each
    probability moved to 1e-15 … 1 - 1e-15.

    Parameters
    ----------
    labels : array_like
        (rows,) class numbers, or (rows, k) with a single 1 a row.
    probabilities : array_like
        (rows, k), or (rows,) or (rows, 1): the probability of class 1 of two.
    clip : float, optional
        `clip_probabilities` first.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    ValueError
        If shapes do not match, a label is no class number, or a probability is no number or
        below 0.
    """
    probabilities = floats(probabilities)
    if clip is not None:
        probabilities = clip_probabilities(probabilities, clip)
    probabilities = probabilities.astype("float64")
    if probabilities.size and not (np.isfinite(probabilities).all() and probabilities.min() >= 0):
        raise ValueError("probabilities: received NaN, infinite or negative values.")
    if _classes(probabilities) == 2 and probabilities.size == len(probabilities):
        p = probabilities.reshape(-1)
        if p.size and p.max() > 1:
            raise ValueError(f"probabilities: received {p.max()}; one column goes from 0 to 1.")
        probabilities = np.stack([1 - p, p], axis=1)
    labels = _class_numbers(labels, probabilities.shape)
    total = probabilities.sum(axis=1)
    if not len(total) or not total.min() > 0:
        raise ValueError("probabilities: there are no rows, or one sums to 0.")
    chosen = probabilities[np.arange(len(labels)), labels] / total
    return float(-np.log(chosen.clip(SMALLEST, 1 - SMALLEST)).mean())


def floats(probabilities):
    """Return probabilities as an array of floats, (rows, classes) or (rows,)."""
    values = np.asarray(probabilities)
    values = values if values.dtype.kind == "f" else values.astype("float64")
    if values.ndim not in (1, 2) or values.shape[-1] == 0:
        raise ValueError(
            f"probabilities: received shape {values.shape}. One row an image: (rows, classes), "
            "or (rows,) for the probability of one of two classes."
        )
    return values


def _classes(probabilities):
    return 2 if probabilities.ndim == 1 else max(2, probabilities.shape[1])


def _class_numbers(labels, shape):
    """Return labels as (rows,) integers below the number of classes."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape == shape and ((labels == 0) | (labels == 1)).all():
        if (labels.sum(axis=1) == 1).all():
            return labels.argmax(axis=1)
    elif labels.shape in (shape[:1], (shape[0], 1)) and labels.dtype.kind in "biuf":
        numbers = labels.reshape(-1)
        if np.isin(numbers, np.arange(shape[1])).all():
            return numbers.astype(int)
    raise ValueError(
        f"labels: received shape {labels.shape} of {labels.dtype}; accepted are "
        f"({shape[0]},) class numbers 0 … {shape[1] - 1}, or {shape} with a single 1 in each row."
    )
