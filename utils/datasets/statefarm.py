"""State Farm's distracted drivers: photographs of drivers in ten postures, from the dashboard.

As Kaggle unpacks them: `imgs/train/c0` … `c9` with labelled photographs, `imgs/test` with
unlabelled ones of other drivers, `driver_imgs_list.csv` (subject, classname, img) and
`sample_submission.csv`. The two for the test are optional.
Source: kaggle.com/competitions/state-farm-distracted-driver-detection.
"""

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utils.datasets import origin
from utils.datasets._photographs import Photographs

__all__ = ["DriverImages", "load_statefarm"]

CLASSES = {
    "c0": "safe driving",
    "c1": "texting right",
    "c2": "phone right",
    "c3": "texting left",
    "c4": "phone left",
    "c5": "radio",
    "c6": "drinking",
    "c7": "reaching behind",
    "c8": "hair and makeup",
    "c9": "talking to passenger",
}
LIST, SAMPLE = "driver_imgs_list.csv", "sample_submission.csv"
LIST_COLUMNS, SAMPLE_COLUMNS = ("subject", "classname", "img"), ("img", *CLASSES)
PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
UNPACK = "If an archive was unpacked by halves, unpack it again; else mend the table."


@dataclass(frozen=True, eq=False, repr=False)
class DriverImages(Photographs):
    """Names, postures and drivers of photographs, none of which has been opened.

    Attributes
    ----------
    files : numpy.ndarray
        (n,) str, relative to `folder`, such as `"imgs/train/c0/img_12.jpg"`, in the order of
        `driver_imgs_list.csv`.
    label : numpy.ndarray
        (n,) int32: 0 to 9, a place in `class_names`.
    driver : numpy.ndarray
        (n,) str, such as `"p002"`. Split by it: a driver's photographs are much alike.
    class_names : tuple of str
        What c0 … c9 mean.
    test_files : numpy.ndarray
        (m,) str, in the order of `sample_submission.csv`, or sorted where there is none;
        (0,) where there is no `imgs/test`.
    sample_submission : pathlib.Path or None
        The file that shows what a submission looks like.
    source, edition : str
        `"real"` or `"stand-in"`, and which edition.
    folder : pathlib.Path
        Where it was read.
    """

    files: np.ndarray
    label: np.ndarray
    driver: np.ndarray
    class_names: tuple
    test_files: np.ndarray
    sample_submission: Path | None
    source: str
    edition: str
    folder: Path = field(default=Path())

    def __repr__(self):
        return (
            f"DriverImages: {len(self):,} photographs of {len(set(self.driver.tolist()))} drivers "
            f"in {len(self.class_names)} postures, {len(self.test_files):,} unlabelled "
            f"({self.source}, edition {self.edition})"
        )


def load_statefarm(folder=None):
    """Load names, postures and drivers of the State Farm photographs.

    Parameters
    ----------
    folder : path, optional
        Your own photographs, laid out as on Kaggle. By default the real set or its stand-in,
        as `LESSONS_SOURCE` says.

    Returns
    -------
    DriverImages

    Raises
    ------
    ValueError
        If a folder or a column is missing, a field is not what it should be, or a table and
        its photographs disagree. The message names the file and the line, counted from 1 as
        an editor does.
    utils.fetch.DataUnavailable
        If `LESSONS_SOURCE` is `real` and the set cannot be had.
    """
    found = origin.find("statefarm", folder)
    (table,) = origin.require(found.folder, LIST)
    photographs = _scan_train(found.folder / "imgs" / "train")
    rows = _read_list(table, photographs)
    sample = found.folder / SAMPLE if (found.folder / SAMPLE).is_file() else None
    return DriverImages(
        files=np.array([f"imgs/train/{label}/{image}" for _, label, image in rows]),
        label=np.array([list(CLASSES).index(label) for _, label, _ in rows], np.int32),
        driver=np.array([driver for driver, _, _ in rows]),
        class_names=tuple(CLASSES.values()),
        test_files=np.array(_test_files(found.folder / "imgs" / "test", sample), dtype=str),
        sample_submission=sample,
        source=found.source,
        edition=found.edition,
        folder=found.folder,
    )


def _scan(folder):
    """Return the names of the photographs in a folder, sorted; one look, however many."""
    return sorted(
        name
        for name in os.listdir(folder)  # noqa: PTH208 - 80,000 paths would take a second
        if name.lower().endswith(PHOTOGRAPHS) and not name.startswith(".")
    )


def _scan_train(folder):
    """Return where each photograph lies: its name -> "c0" … "c9"."""
    missing = [label for label in CLASSES if not (folder / label).is_dir()]
    if missing:
        raise ValueError(
            f"{folder} has no folder {', '.join(missing)}. Photographs of class c0 lie in "
            f"imgs/train/c0, and so on to c9."
        )
    photographs = {}
    for label in CLASSES:
        for image in _scan(folder / label):
            if image in photographs:
                raise ValueError(
                    f"{folder}: {image} lies in {photographs[image]} and in {label}. "
                    f"A photograph has one class and a name of its own: delete or rename one."
                )
            photographs[image] = label
    return photographs


def _read_list(path, photographs):
    """Return (driver, class, image) of each line, checked against the photographs."""
    rows, line_of = [], {}
    for line, row in _lines(path, LIST_COLUMNS):
        _, label, image = row
        if not all(row):
            raise ValueError(
                f"{path}, line {line}: received {','.join(row)!r}. Write a driver, a class and a "
                f"file name, such as p002,c0,img_44733.jpg."
            )
        if label not in CLASSES:
            raise ValueError(
                f"{path}, line {line}, column classname: received {label!r}. Classes are c0 to c9."
            )
        if image in line_of:
            first, (_, other, _) = line_of[image]
            classes = f"classes {other} and {label}" if other != label else f"class {label}"
            raise ValueError(
                f"{path}, line {line}: {image} stands on line {first} already ({classes}). "
                f"Keep one line for a photograph."
            )
        line_of[image] = line, row
        if image not in photographs:
            raise ValueError(
                f"{path}, line {line}: there is no {image} in imgs/train/{label}. {UNPACK}"
            )
        if photographs[image] != label:
            raise ValueError(
                f"{path}, line {line}: {image} has class {label} here but lies in "
                f"imgs/train/{photographs[image]}. Move it, or mend the line."
            )
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} has no photographs below its header.")
    if unlisted := [image for image in photographs if image not in line_of]:
        raise ValueError(
            f"{path} has no line for imgs/train/{photographs[unlisted[0]]}/{unlisted[0]} "
            f"({len(unlisted)} such photographs). Add its driver and class there, or move it away."
        )
    return rows


def _test_files(folder, sample):
    """Return the files in imgs/test, in the order of the sample submission if there is one."""
    if not folder.is_dir():
        return []
    images = _scan(folder)
    if sample is not None:
        here, line_of = set(images), {}
        for line, (image, *_) in _lines(sample, SAMPLE_COLUMNS):
            if image in line_of:
                raise ValueError(
                    f"{sample}, line {line}: {image} stands on line {line_of[image]} already. "
                    f"Keep one line for a photograph."
                )
            if image not in here:
                raise ValueError(f"{sample}, line {line}: no {image!r} in imgs/test. {UNPACK}")
            line_of[image] = line
        if unlisted := [image for image in images if image not in line_of]:
            raise ValueError(
                f"{sample} has no line for imgs/test/{unlisted[0]} ({len(unlisted)} such "
                f"photographs). Add them, or move them away."
            )
        images = list(line_of)
    return [f"imgs/test/{image}" for image in images]


def _lines(path, columns):
    """Yield the number of each line and its fields in `columns`, without spaces around them."""
    expected = f"The first line has to be {','.join(columns)}."
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            if missing := [name for name in columns if name not in header]:
                raise ValueError(
                    f"{path}, line 1: no column {', '.join(missing)}; there is "
                    f"{', '.join(header) or 'nothing'}. {expected}"
                )
            places = [header.index(name) for name in columns]
            for fields in reader:
                if not fields:  # a blank line
                    continue
                if len(fields) != len(header):
                    raise ValueError(
                        f"{path}, line {reader.line_num}: {len(fields)} fields, the header has "
                        f"{len(header)}. Write one field for each column."
                    )
                yield reader.line_num, [fields[place].strip() for place in places]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text. Save it as UTF-8. {error}") from error
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error
