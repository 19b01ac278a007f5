"""Pseudo-labels: train on a model's own predictions for unlabelled rows, a fixed share a batch."""

import math
from fractions import Fraction
from numbers import Real
from pathlib import PurePosixPath

import numpy as np

from utils._epochs import EpochDataset
from utils._whole_numbers import whole_number

__all__ = ["PseudoLabelMixer", "check_no_overlap"]

LARGEST = 0.95  # share: an epoch has rows / (1 - share) rows, without bound towards 1
ROUNDING = 1e-3  # a sum of probabilities in float16 may pass 1 by this


class PseudoLabelMixer(EpochDataset):
    """Batches of labelled rows, with a fixed share of pseudo-labelled ones in each.

    An epoch is every labelled row once, in a new order, beside as many pseudo-labelled rows as
    make their share of every batch, the last one included, to within one row. The pool of pseudo-
    labelled rows is walked through in a random order, from epoch to epoch, and no row returns
    before all had their turn; then the pool is shuffled anew. In a batch the labelled rows come
    first.

    What a batch holds depends on `seed` and the number of the epoch alone, so it is the same
    with any number of workers. Each pass of `fit` is an epoch, and a second `fit` goes on where
    the first ended; `initial_epoch` starts a new mixer there. `evaluate` and `predict` leave the
    epoch as it is. Leave `fit`'s `steps_per_epoch` alone: each of its epochs ends one here too, so
    that the order changes before all rows have been taken.

    Parameters
    ----------
    x, y : array_like
        Labelled rows and their labels. `x` is an array, a memory map, or any object with a
        length that takes an array of row numbers in brackets; what is not in memory is asked for
        rows in increasing order, each once. `y` is an array of (rows,) or (rows, 1) classes or
        probabilities, or of (rows, classes) probabilities.
    x_pseudo, y_pseudo : array_like
        The pool, and what a model predicts for it: as it is (soft) or as classes (hard), in the
        form of `y`.
    batch_size : int
        Rows in a batch, of both kinds together.
    fraction : float
        Share of pseudo-labelled rows, 0 to 0.95; the lesson's rule is 1/4 to 1/3. An epoch has
        rows / (1 - fraction) rows, so towards 1 it would take time and memory without bound.
    seed : int
        Not negative.
    initial_epoch : int
        Number of the first epoch, from 0; give `fit` the same.
    threshold : float, optional
        Leave rows out of the pool whose largest probability is below this; with one column p,
        the larger of p and 1 - p. Needs soft labels.
    pseudo_weight : float, optional
        Weight of a pseudo-labelled row in the loss, beside 1 for a labelled one; batches are then
        (x, y, weights).
    pseudo_files, validation_files : sequence of str, optional
        Given both, they are compared by `check_no_overlap`. The first has a name for each row
        of `x_pseudo`.
    **kwargs
        `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Attributes
    ----------
    epoch : int
        The epoch whose batches it gives now. Set it to walk through other epochs by hand.
    pool : numpy.ndarray
        Numbers of the rows of `x_pseudo` that the threshold left.

    Raises
    ------
    ValueError
        If lengths, shapes or kinds of labels do not match, a number is out of range, the pool is
        empty, or files overlap.

    Notes
    -----
    D.-H. Lee (2013), *Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for
    Deep Neural Networks*, and lesson 4. The course's notebook labels its validation images this
    way and then scores on them: `validation_files` guards against it.
    """

    def __init__(
        self,
        x,
        y,
        x_pseudo,
        y_pseudo,
        batch_size=64,
        fraction=0.25,
        seed=0,
        initial_epoch=0,
        *,
        threshold=None,
        pseudo_weight=None,
        pseudo_files=None,
        validation_files=None,
        **kwargs,
    ):
        super().__init__(initial_epoch, **kwargs)
        self.batch_size = whole_number("batch_size", batch_size, least=1)
        self.seed = whole_number("seed", seed, least=0)
        if not isinstance(fraction, Real) or not 0 <= float(fraction) <= LARGEST:
            raise ValueError(
                f"fraction={fraction!r} is not a share from 0 to {LARGEST}; the rule is 1/4."
            )
        if pseudo_weight is not None and not (
            isinstance(pseudo_weight, Real) and 0 <= pseudo_weight < math.inf
        ):
            raise ValueError(f"pseudo_weight={pseudo_weight!r} is not a finite weight from 0.")
        self.fraction = Fraction(float(fraction))  # exact, so that counts of rows are too
        self.pseudo_weight = pseudo_weight
        self.x, self.x_pseudo = _rows("x", x), _rows("x_pseudo", x_pseudo)
        self.y, self.y_pseudo = np.asarray(y), np.asarray(y_pseudo)
        self._check_forms()
        self.pool = _confident(self.y_pseudo, threshold)
        if fraction and not len(self.pool):
            raise ValueError(
                f"The pool of pseudo-labelled rows is empty: of {len(self.y_pseudo)} rows none has "
                f"a probability of threshold={threshold}. Lower it, or use fraction=0."
            )
        if (pseudo_files is None) != (validation_files is None):
            raise ValueError("Give both pseudo_files and validation_files, or neither.")
        if pseudo_files is not None:
            if len(pseudo_files) != len(self.x_pseudo):
                raise ValueError(
                    f"pseudo_files names {len(pseudo_files)} files, x_pseudo has "
                    f"{len(self.x_pseudo)} rows. Name the file of each."
                )
            check_no_overlap(pseudo_files, validation_files)
        self._total = self._epoch_rows()
        self.draw_order()

    def __len__(self):
        """Return the number of batches in an epoch."""
        return math.ceil(self._total / self.batch_size)

    def __getitem__(self, index):
        """Return batch `index` of this epoch: (x, y), or (x, y, weights)."""
        rows = self.rows(index)
        x = _gather((self.x, self.x_pseudo), rows, self._x_shape, self._x_dtype)
        y = _gather((self.y, self.y_pseudo), rows, self.y.shape[1:], self._y_dtype)
        if self.pseudo_weight is None:
            return x, y
        weights = np.repeat([1, self.pseudo_weight], [len(numbers) for numbers in rows])
        return x, y, weights.astype("float32")

    def rows(self, index):
        """Return what batch `index` of this epoch holds: rows of `x`, and rows of `x_pseudo`."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        start = index * self.batch_size
        stop = min(start + self.batch_size, self._total)
        first, last = self._pseudo_before(start), self._pseudo_before(stop)
        return self._labelled[start - first : stop - last], self._pseudo[first:last]

    def _pseudo_before(self, row):
        """Return how many of an epoch's first rows are pseudo-labelled: their share, rounded."""
        return math.floor(self.fraction * row + Fraction(1, 2))

    def _epoch_rows(self):
        """Return the least number of rows that holds every labelled one."""
        total = max(0, math.floor((len(self.x) - Fraction(1, 2)) / (1 - self.fraction)) - 1)
        while total - self._pseudo_before(total) < len(self.x):
            total += 1
        return total

    def draw_order(self):
        """Draw the order of this epoch, from `seed` and `epoch` alone."""
        self._labelled = _permutation(self.seed, 0, self.epoch, len(self.x))
        each = self._pseudo_before(self._total)  # pseudo-labelled rows in an epoch
        first, last = each * self.epoch, each * (self.epoch + 1)
        self._pseudo = np.empty(each, "int64")
        size = len(self.pool)
        for lap in range(first // size, -(-last // size)) if each else ():
            order = self.pool[_permutation(self.seed, 1, lap, size)]
            start, stop = max(first, lap * size), min(last, (lap + 1) * size)
            self._pseudo[start - first : stop - first] = order[
                start - lap * size : stop - lap * size
            ]

    def _check_forms(self):
        for kind, x, y in (("", self.x, self.y), ("_pseudo", self.x_pseudo, self.y_pseudo)):
            if y.ndim not in (1, 2) or len(x) != len(y):
                raise ValueError(
                    f"x{kind} has {len(x)} rows and y{kind} the shape {y.shape}. Give one label, "
                    "or one row of probabilities, for each."
                )
        if not len(self.x):
            raise ValueError("x has no labelled rows.")
        if self.y.shape[1:] != self.y_pseudo.shape[1:]:
            raise ValueError(
                f"y has the shape {self.y.shape} and y_pseudo {self.y_pseudo.shape}. Give both the "
                "same form: classes as probabilities by keras.utils.to_categorical(y), or "
                "probabilities as classes by y_pseudo.argmax(axis=1)."
            )
        one, other = _example(self.x), _example(self.x_pseudo)
        if one.shape[1:] != other.shape[1:]:
            raise ValueError(
                f"Rows of x have the shape {one.shape[1:]}, rows of x_pseudo {other.shape[1:]}."
            )
        self._x_shape, self._x_dtype = one.shape[1:], np.promote_types(one.dtype, other.dtype)
        self._y_dtype = _type_of_labels(self.y, self.y_pseudo)


def check_no_overlap(pseudo_files, validation_files):
    """Refuse to pseudo-label a file that is used for validation.

    A network that has seen its own labels for the validation images is not scored by them.

    Parameters
    ----------
    pseudo_files, validation_files : sequence of str
        Names of files. Two are the same file if one is the end of the other, folder by folder:
        `train/c0/img_1.jpg` and `/data/train/c0/img_1.jpg` are, `train/1.jpg` and `test/1.jpg`
        are not. Either slash parts folders, and `..` at the start may be any.

    Raises
    ------
    ValueError
        If they share a file: how many, and which is the first.
    """
    pseudo, validation = _endings(pseudo_files), _endings(validation_files)
    whole = {parts for parts, same in validation if same} & {parts for parts, _ in pseudo}
    whole |= {parts for parts, same in pseudo if same} & {parts for parts, _ in validation}
    if whole:
        raise ValueError(
            f"{len(whole)} files are in the pool and in the validation set, such as "
            f"{PurePosixPath(*min(whole))}. Pseudo-label only what is neither trained nor scored "
            "on."
        )


def _endings(files):
    """Return the parts of each path and of each of its ends, and whether it is the whole path."""
    paths = [_parts(file) for file in files]
    return {(parts[i:], i == 0) for parts in paths for i in range(len(parts))}


def _parts(file):
    """Return folders and name of a path, either slash between them, without `.` and `..`."""
    parts = []
    for part in PurePosixPath(str(file).replace("\\", "/")).parts:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return tuple(parts)


def _permutation(seed, kind, number, size):
    return np.random.default_rng([seed, kind, number]).permutation(size)


def _gather(sources, rows, shape, dtype):
    """Return rows of the first source and then of the second in one array."""
    counts = [len(numbers) for numbers in rows]
    out = _empty((sum(counts), *shape), dtype)
    for source, numbers, part in zip(sources, rows, np.split(out, counts[:1]), strict=True):
        if not len(numbers):
            continue
        if not isinstance(source, np.ndarray) or isinstance(source, np.memmap):
            # increasing, each once: HDF5 takes no others, and a disk likes them best
            numbers, places = np.unique(numbers, return_inverse=True)
            part[...] = np.asarray(source[numbers])[places]
        elif source.dtype == dtype:  # each row is copied once; mode="raise" would copy it twice
            np.take(source, numbers, axis=0, out=part, mode="clip")
        else:
            part[...] = source[numbers]
    return out


def _empty(shape, dtype):
    """Return an array that starts at a multiple of 64 bytes: TensorFlow takes it without a copy."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + 64, "uint8")
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _example(source):
    """Return a row of a source, if it has one, for the shape and type that all have."""
    return np.asarray(source[np.arange(min(1, len(source)))])


def _type_of_labels(y, y_pseudo):
    """Return the type for both kinds of labels, if both are classes or both probabilities."""
    kinds = _kinds("y", y), _kinds("y_pseudo", y_pseudo)
    if not kinds[0] & kinds[1]:
        said = [
            f"{name} holds {kind} from {labels.min():.4g} to {labels.max():.4g}"
            for name, labels, (kind,) in zip(("y", "y_pseudo"), (y, y_pseudo), kinds, strict=True)
        ]
        raise ValueError(f"{' and '.join(said)}. Give classes to both, or probabilities to both.")
    types = y.dtype, y_pseudo.dtype
    fractional = [dtype for dtype in types if dtype.kind == "f"]
    if "probabilities" in kinds[0] & kinds[1] and len(fractional) == 1:
        return fractional[0]  # it holds 0 and 1 exactly
    return np.promote_types(*types)


def _kinds(name, labels):
    """Return what labels can be: "classes", "probabilities", or for zeros and ones either."""
    if labels.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} is of the type {labels.dtype}. Give numbers; of names, "
            "np.unique(names, return_inverse=True)[1] are the classes."
        )
    if not np.isfinite(labels).all():
        raise ValueError(f"{name} holds NaN or infinite values. Leave such rows out.")
    kinds = set()
    one_column = labels.ndim == 1 or labels.shape[1] == 1
    if one_column and not (labels % 1).any():
        kinds.add("classes")
    if ((labels >= -ROUNDING) & (labels <= 1 + ROUNDING)).all():
        kinds.add("probabilities")
    if not kinds:
        raise ValueError(
            f"{name} of the shape {labels.shape} holds values from {labels.min():.4g} to "
            f"{labels.max():.4g}, which are no probabilities"
            + (" and no classes." if one_column else ". Of logits, the softmax is.")
        )
    return kinds


def _rows(name, source):
    if isinstance(source, (tuple, list, dict)) or hasattr(source, "iloc"):
        raise ValueError(
            f"{name} is a {type(source).__name__}. Give one array, a memory map, or an object that "
            "takes an array of row numbers in brackets; several inputs are not supported."
        )
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise ValueError(f"{name} is a {type(source).__name__}: it has no length or no rows.")
    return source


def _confident(labels, threshold):
    """Return the rows of soft labels whose largest probability reaches the threshold."""
    if threshold is None:
        return np.arange(len(labels))
    if not isinstance(threshold, Real) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r} is not a probability.")
    if "probabilities" not in _kinds("y_pseudo", labels) or (
        len(labels) and not (labels % 1).any()
    ):
        raise ValueError(
            f"threshold={threshold} needs probabilities in y_pseudo; received classes, of type "
            f"{labels.dtype}. Leave the threshold out, or give what the model predicts as it is."
        )
    columns = labels.reshape(len(labels), -1)
    if columns.shape[1] == 1:
        columns = np.concatenate([columns, 1 - columns], axis=1)
    # in the labels' own precision: 0.7 in float32 is a little less than 0.7
    return np.flatnonzero(columns.max(axis=1) >= columns.dtype.type(threshold))
