"""Batches of images straight from disk: shuffled, decoded in parallel, in bounded memory."""

import math
from numbers import Integral
from pathlib import Path

import numpy as np
from keras import ops

from utils._epochs import EpochDataset
from utils._whole_numbers import whole_number
from utils.images.augmentation import Augmentation
from utils.images.checks import as_paths, check_images, decode, in_parallel

__all__ = ["ImageBatches", "load_images"]


def load_images(paths, size, *, workers=4):
    """Read images that fit in memory together.

    Parameters
    ----------
    paths : sequence of paths
        The files; how they are read is told at `ImageBatches`.
    size : (int, int)
        Height and width.
    workers : int
        Files that are decoded at the same time.

    Returns
    -------
    numpy.ndarray
        (n, height, width, 3) uint8: a quarter of the memory that float32 takes.

    Raises
    ------
    ValueError
        If files cannot be read; it names them.
    """
    paths, size = as_paths(paths), _as_size(size)
    images = np.empty((len(paths), *size, 3), np.uint8)
    unreadable = {}

    def load(row):
        try:
            images[row] = decode(paths[row], size)
        except Exception as error:  # Pillow's readers raise whatever a broken file leads them to
            unreadable[paths[row]] = str(error)

    in_parallel(load, range(len(paths)), workers)
    _refuse(unreadable)
    return images


class ImageBatches(EpochDataset):
    """Batches of images and labels for `fit`, `evaluate` and `predict`, read when needed.

    Only the batches at work are in memory: one of 64 at 224 × 224 takes 39 MB, all 22,424
    images of State Farm 13.5 GB. Every file is looked at before the first batch
    (`check_images`), so the number of batches is known and no epoch ends in the middle.

    Parameters
    ----------
    paths : sequence of paths
        The n files, of any format that Pillow reads. Turned upright as EXIF says, converted
        to RGB (transparent parts on white) and squashed to `size` with an antialiased
        bilinear filter, whatever their aspect ratio, as the lesson did.
    labels : array-like, optional
        (n, …). Without them a batch is images alone.
    size : (int, int)
        Height and width.
    batch_size : int
        Images a batch; the last one may have fewer.
    shuffle : bool
        Draw a new order for each epoch. Leave it off where rows have to keep the order of
        the files: to predict, to validate, to extract features.
    seed : int
        Of orders and augmentation.
    augment : Augmentation, optional
        Applied to every batch. What it draws depends on seed, epoch and row (the place in
        `paths`) alone. In `fit` the same layer inside the model is faster; it then rests in
        validation.
    on_unreadable : {"refuse", "skip"}
        What to do about files that are empty, cut off, or no images: raise an error that
        names them, or leave them out, labels included.
    workers : int
        Threads that decode the files of a batch at the same time; not Keras' own workers.
    initial_epoch : int
        The epoch to begin with, to go on with an earlier training: as in `fit`.

    Attributes
    ----------
    paths : list of str
        The files in use, in the order given.
    labels : numpy.ndarray or None
        Theirs.
    report : ImageReport
        What all the given files were found to be.
    skipped : list of str
        Those left out.
    epoch : int
        The current epoch, whose order and augmentation the batches have. Set it where you
        walk through the batches yourself.

    Raises
    ------
    ValueError
        If an argument is out of range, labels and files differ in number, files are
        unreadable and to be refused, or none is left.
    OSError
        In an epoch, if a file can no longer be read; it names the file. Also with
        `on_unreadable="skip"`: to leave it out now would change the number of batches.

    Notes
    -----
    Images are (batch, height, width, 3) float32, 0 to 255.

    Same files, seed and epoch, same batches, with any number of workers. `fit` takes a
    PyDataset's batches in an order that it shuffles itself, unless told `shuffle=False`; what is
    in each batch does not change.

    Each pass of `fit` is an epoch, and a second `fit` goes on where the first ended. `evaluate`
    and `predict` leave the epoch as it is: the same batches each time. Leave `fit`'s
    `steps_per_epoch` alone: each of its epochs ends one here too, so that the order changes
    before all files have been taken.
    """

    def __init__(
        self,
        paths,
        labels=None,
        *,
        size,
        batch_size=64,
        shuffle=False,
        seed=0,
        augment=None,
        on_unreadable="refuse",
        workers=4,
        initial_epoch=0,
    ):
        super().__init__(initial_epoch, workers=1)
        paths = as_paths(paths)
        self.batch_size = whole_number("batch_size", batch_size, least=1)
        self.seed = whole_number("seed", seed, least=0)
        if on_unreadable not in ("refuse", "skip"):
            raise ValueError(f'on_unreadable={on_unreadable!r}: must be "refuse" or "skip".')
        if augment is not None and not isinstance(augment, Augmentation):
            raise ValueError(
                f"augment={augment!r}: must be a utils.images.Augmentation. Put other layers "
                f"into the model, or subclass it."
            )
        if labels is not None:
            labels = np.asarray(labels)
            if labels.ndim == 0 or len(labels) != len(paths):
                raise ValueError(f"{len(paths)} paths, but labels of shape {labels.shape}.")
        self.size = _as_size(size)
        self.shuffle = shuffle
        self.augment = augment
        self.threads = workers
        self.report = check_images(paths, workers=workers)
        if on_unreadable == "refuse":
            _refuse(self.report.reasons, 'Mend or leave them out, or pass on_unreadable="skip".')
        good = self.report.good
        if not good.any():
            raise ValueError(f"None of {len(paths)} files can be read as an image.")
        self.paths = [path for path, kept in zip(paths, good, strict=True) if kept]
        self.labels = labels if labels is None else labels[good]
        self.skipped = [path for path, kept in zip(paths, good, strict=True) if not kept]
        self.draw_order()

    def __len__(self):
        return math.ceil(len(self.paths) / self.batch_size)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        epoch, rows = self.epoch, self.rows(index)
        images = self.images(rows, epoch if self.augment is not None else None)
        return images if self.labels is None else (images, self.labels[rows])

    def images(self, rows, copy=None):
        """Read the images of some rows: as they are, or the `copy`-th augmented time.

        Parameters
        ----------
        rows : sequence of int
            Row numbers in `paths`.
        copy : int, optional
            The epoch whose augmentation to use; by default none at all.

        Returns
        -------
        numpy.ndarray
            (len(rows), height, width, 3) float32, 0 to 255.

        Raises
        ------
        OSError
            If a file can no longer be read; it names the file.
        """
        images = np.empty((len(rows), *self.size, 3), "float32")

        def load(place):
            images[place] = self._decode(self.paths[rows[place]])

        in_parallel(load, range(len(rows)), self.threads)
        if copy is None:
            return images
        draws = [
            self.augment.draws(1, 3, np.random.default_rng((self.seed, copy, row, 1)))
            for row in rows
        ]
        return ops.convert_to_numpy(self.augment.transform(images, np.concatenate(draws)))

    def rows(self, index):
        """Return which rows of `paths` and `labels` batch `index` of this epoch holds."""
        return self._order[index * self.batch_size : (index + 1) * self.batch_size]

    def draw_order(self):
        """Draw the order of this epoch, from `seed` and `epoch` alone."""
        order = np.arange(len(self.paths))
        if self.shuffle:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        self._order = order

    def _decode(self, path):
        try:
            return decode(path, self.size)
        except Exception as error:
            raise OSError(
                f"{path} could be read before training, now it cannot: {error}. "
                f"Put it back, or make the batches anew."
            ) from error


def _as_size(size):
    """Return (height, width)."""
    if (
        not isinstance(size, (tuple, list))
        or len(size) != 2
        or not all(isinstance(side, Integral) and side > 0 for side in size)
    ):
        raise ValueError(f"size={size!r}: must be (height, width) in pixels.")
    return tuple(int(side) for side in size)


def _refuse(reasons, advice="Mend them or leave them out."):
    """Name files that cannot be read."""
    if reasons:
        names = [f"{Path(path)} ({why})" for path, why in list(reasons.items())[:5]]
        more = f" and {len(reasons) - 5} more" if len(reasons) > 5 else ""
        raise ValueError(
            f"{len(reasons)} files cannot be read as images: {'; '.join(names)}{more}. {advice}"
        )
