"""Dogs vs cats: photographs of pets, one kind each, in sizes of their own.

As Kaggle unpacks them: `train/cat.0.jpg` … and `train/dog.0.jpg` … with the label in the name,
`test/1.jpg` … without, and `sample_submission.csv` (id, label). The two for the test are optional.
Source: kaggle.com/competitions/dogs-vs-cats-redux-kernels-edition.
"""

import functools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from utils.datasets import origin
from utils.datasets._photographs import Photographs
from utils.fetch import DataUnavailable
from utils.kaggle import read_sample_submission

__all__ = ["PetImages", "load_dogs_vs_cats"]

KINDS = ("cat", "dog")
SAMPLE = "sample_submission.csv"
SAMPLE_COLUMNS = ("id", "label")
PHOTOGRAPH = re.compile(r"[^.].*\.(jpg|jpeg|png)", re.IGNORECASE)
LABELLED = re.compile(r"(cat|dog)\.([0-9]+)\.\w+")
UNLABELLED = re.compile(r"([0-9]+)\.\w+")
UNPACK = "If an archive was unpacked by halves, unpack it again; else mend the table."


@dataclass(frozen=True, eq=False, repr=False)
class PetImages(Photographs):
    """Names and labels of photographs, none of which has been opened.

    Attributes
    ----------
    files : numpy.ndarray
        (n,) str, relative to `folder`, such as `"train/cat.12.jpg"`: cats, then dogs, each in
        the order of their numbers.
    label : numpy.ndarray
        (n,) int32: 0 cat, 1 dog, a place in `class_names`.
    class_names : tuple of str
        `("cat", "dog")`.
    test_files : numpy.ndarray
        (m,) str, in the order of `sample_submission.csv`, or of their numbers where there is
        none; (0,) where there is no `test`.
    sample_submission : pathlib.Path or None
        The file that shows what a submission looks like.
    source, edition : str
        `"real"` or `"stand-in"`, and which edition.
    folder : pathlib.Path
        Where it was read.
    """

    files: np.ndarray
    label: np.ndarray
    class_names: tuple
    test_files: np.ndarray
    sample_submission: Path | None
    source: str
    edition: str
    folder: Path = field(default=Path())

    @functools.cached_property
    def size(self):
        """(n, 2) int32: height and width in pixels, read from the files' headers at first use."""
        return _sizes(self.paths())

    @functools.cached_property
    def test_size(self):
        """(m, 2) int32: the same of the unlabelled photographs."""
        return _sizes(self.test_paths())

    def __repr__(self):
        cats, dogs = np.bincount(self.label, minlength=2)
        return (
            f"PetImages: {cats:,} cats, {dogs:,} dogs, {len(self.test_files):,} unlabelled "
            f"({self.source}, edition {self.edition})"
        )


def load_dogs_vs_cats(folder=None):
    """Load names and labels of the photographs of dogs and cats.

    Parameters
    ----------
    folder : path, optional
        Your own photographs, laid out as on Kaggle. By default the real set or its stand-in,
        as `LESSONS_SOURCE` says.

    Returns
    -------
    PetImages

    Raises
    ------
    ValueError
        If `train` is missing or lacks one of the two kinds, a photograph is not called as on
        Kaggle, two have the same number, or the sample submission and the photographs in
        `test` disagree. `PetImages.size` raises it for a file that is no image.
    utils.fetch.DataUnavailable
        If `LESSONS_SOURCE` is `real` and the set cannot be had.
    """
    found = origin.find("dogs_vs_cats", folder)
    files, label = _train_files(found.folder / "train")
    sample = found.folder / SAMPLE if (found.folder / SAMPLE).is_file() else None
    return PetImages(
        files=np.array(files),
        label=np.array(label, np.int32),
        class_names=KINDS,
        test_files=np.array(_test_files(found.folder / "test", sample), dtype=str),
        sample_submission=sample,
        source=found.source,
        edition=_edition(found),
        folder=found.folder,
    )


def _edition(found):
    try:
        return found.edition
    except DataUnavailable:  # a part of the photographs, without the two that are hashed
        return "other"


def _numbered(folder, pattern, example):
    """Return a folder's photographs by what `pattern` finds in their names; one look."""
    photographs = {}
    for name in sorted(filter(PHOTOGRAPH.fullmatch, os.listdir(folder))):  # noqa: PTH208 - fast
        parts = pattern.fullmatch(name)
        if not parts:
            raise ValueError(
                f"{folder}: {name} is not called like {example}. Rename it, or move it away."
            )
        *kind, number = parts.groups()
        key = (*kind, int(number))
        if key in photographs:
            raise ValueError(
                f"{folder}: {photographs[key]} and {name} have the same number. Rename one."
            )
        photographs[key] = name
    return photographs


def _train_files(folder):
    """Return the files in train and their labels: cats, then dogs, by number."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is missing. Photographs lie in train, such as train/cat.0.jpg.")
    photographs = _numbered(folder, LABELLED, "cat.0.jpg or dog.0.jpg")
    for kind in KINDS:
        if not any(key[0] == kind for key in photographs):
            raise ValueError(
                f"{folder} holds no {kind}.0.jpg, {kind}.1.jpg … Lay the photographs of both kinds "
                f"there, not in folders of their own."
            )
    order = sorted(photographs)
    files = [f"train/{photographs[key]}" for key in order]
    return files, [KINDS.index(kind) for kind, _ in order]


def _test_files(folder, sample):
    """Return the files in test, in the order of the sample submission if there is one."""
    if not folder.is_dir():
        return []
    photographs = {key: name for (key,), name in _numbered(folder, UNLABELLED, "1.jpg").items()}
    order = sorted(photographs)
    if sample is not None:
        listed = _listed(sample)
        if missing := [number for number in listed if number not in photographs]:
            raise ValueError(f"{sample}: there is no test/{missing[0]}.jpg. {UNPACK}")
        if len(listed) < len(order):
            unlisted = next(number for number in order if number not in listed)
            raise ValueError(
                f"{sample} has no line for test/{photographs[unlisted]} "
                f"({len(order) - len(listed)} such photographs). Add them, or move them away."
            )
        order = list(listed)
    return [f"test/{photographs[number]}" for number in order]


def _listed(sample):
    """Return the ids of the sample submission, in its order, as keys of a dict."""
    read = read_sample_submission(sample)
    if read.columns != SAMPLE_COLUMNS:
        raise ValueError(f"{sample}: columns {','.join(read.columns)}; they have to be id,label.")
    for number in read.ids:
        if not number.isdecimal():
            raise ValueError(f"{sample}: received the id {number!r}. The id of test/1.jpg is 1.")
    return dict.fromkeys(map(int, read.ids))


def _sizes(paths):
    sizes = np.empty((len(paths), 2), np.int32)
    for row, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                sizes[row] = image.height, image.width
        except OSError as error:
            raise ValueError(f"{path} cannot be read as an image: {error}") from error
    return sizes
