"""Labels of two classes, checked in one place."""

import numpy as np


def zero_or_one(labels, rows, name):
    """Return labels as one row, (rows,), of the numbers they were, or raise a ValueError.

    Parameters
    ----------
    labels : array
        (rows,) or (rows, 1): 0 or 1, as integers, floats or truth values.
    rows : int
        How many there must be, at least 1.
    name : str
        Of these rows, for the message: `"test"`.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # a column would be compared with a row, all with all
    if labels.ndim != 1 or not len(labels) == rows > 0:
        count = labels.size if labels.ndim == 1 else f"{labels.size} (of shape {labels.shape})"
        raise ValueError(f"Received {rows} {name} rows with {count} labels; one a row is needed.")
    numbers = labels.dtype.kind in "iufb"
    others = labels[~np.isin(labels, (0, 1))] if numbers else labels
    if len(others):
        raise ValueError(
            f"Received {name} labels such as {others.tolist()[0]!r} ({labels.dtype}); 0 and 1 are "
            f"accepted. Of two other labels make some by (labels == positive).astype(int)."
        )
    return labels
