"""Submissions: read the competition's sample, write a file that fits it, and check one."""

import csv
import errno
import gzip
import io
import numbers
import os
import re
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from utils.kaggle.scores import clip_probabilities, floats

__all__ = [
    "InvalidSubmission",
    "SampleSubmission",
    "read_sample_submission",
    "validate_submission",
    "write_submission",
]

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
TOLERANCE = 1e-3  # of the sum of a row
SHOWN = 20  # problems in a message; the exception holds all


class InvalidSubmission(ValueError):
    """A submission that Kaggle would refuse or misread, or that looks like a mistake.

    Attributes
    ----------
    problems : tuple of str
        All that was found, each with its line.
    """

    def __init__(self, name, problems):
        self.problems = tuple(problems)
        shown = "".join(f"\n  {problem}" for problem in self.problems[:SHOWN])
        more = len(self.problems) - SHOWN
        super().__init__(f"{name}:{shown}" + f"\n  and {more:,} more" * (more > 0))


@dataclass(frozen=True)
class SampleSubmission:
    """What a submission has to look like, as sample_submission.csv says.

    Attributes
    ----------
    columns : tuple of str
        The header: the id's column first, then one column, or one for each class.
    ids : tuple of str
        One a row, in the file's order.
    """

    columns: tuple
    ids: tuple


def read_sample_submission(path):
    """Read the header and the ids of a competition's sample_submission.csv.

    Parameters
    ----------
    path : path
        A .csv or .csv.gz file.

    Returns
    -------
    SampleSubmission

    Raises
    ------
    ValueError
        If it has no rows, fewer than two columns, a column or an id twice, or a row without an
        id; with the line.
    """
    header, rows = _read(path)
    rows = [(line, row) for line, row in rows if row]  # a blank line is none
    _check_sample(path, header, rows)
    return SampleSubmission(tuple(header), tuple(row[0] for _, row in rows))


def write_submission(
    path, ids, probabilities, *, sample=None, columns=None, clip=None, sums=True, replace=False
):
    """Write a submission, checked against the competition's sample as `validate_submission` does.

    Parameters
    ----------
    path : path
        Its name ends in `.csv`, or in `.csv.gz`, then it is compressed. The same values give the
        same bytes.
    ids : sequence of str or int
        One a row of `probabilities`, as Kaggle writes them (`img_1.jpg`, no folder).
    probabilities : array_like
        (rows, classes), or (rows,) or (rows, 1) where the sample has one column.
    sample : path or SampleSubmission, optional
        The competition's sample_submission.csv. Rows are written in its order, whatever the
        order of `ids`.
    columns : sequence of str, optional
        The header, the id's column first, where there is no sample: `["img", "c0", "c1", ...]`.
    clip : float, optional
        The largest probability: see `clip_probabilities`. Without `sums` each value is clipped
        as one of two classes.
    sums : bool
        Whether the values of a row sum to 1. False where labels do not exclude each other.
    replace : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    FileExistsError
        If the file is there, and `replace` is False.
    ValueError
        If the file's name ends otherwise, shapes do not match or an id is neither text nor a
        whole number; `InvalidSubmission`, with every problem, if the checks find any. Nothing is
        written then.
    """
    path, ids = Path(path), _texts(ids)
    if not path.name.lower().endswith((".csv", ".csv.gz")):
        raise ValueError(
            f"{path}: a submission is written as text, NAME.csv, or compressed, NAME.csv.gz."
        )
    if path.exists() and not replace:
        raise FileExistsError(
            errno.EEXIST, "A submission is there already; replace=True replaces it", str(path)
        )
    if (sample is None) == (columns is None):
        raise ValueError("Give sample=, the competition's sample_submission.csv, or columns=.")
    if sample is None:
        sample = SampleSubmission(tuple(columns), tuple(ids))
        _check_sample(path, sample.columns, _rows(sample), folders=False)
    sample = _sample(sample)
    values = floats(probabilities)
    values = values[:, None] if values.ndim == 1 else values
    if values.shape != (len(ids), len(sample.columns) - 1):
        raise ValueError(
            f"{len(ids)} ids and probabilities of shape {np.shape(probabilities)} do not make rows "
            f"of {', '.join(sample.columns[:4])}{', …' * (len(sample.columns) > 4)} "
            f"({len(sample.columns) - 1} values)."
        )
    if clip is not None:
        each = values if sums else values.reshape(-1)
        values = clip_probabilities(each, clip).reshape(values.shape)
    place = {id: row for row, id in enumerate(sample.ids)}
    order = sorted(range(len(ids)), key=lambda row: place.get(ids[row], len(place)))
    # each float as the shortest text that reads back as the same number of its own type
    rows = [[ids[row], *map(str, values[row])] for row in order]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".submission-") as workshop:
        draft = Path(workshop) / path.name
        _write(draft, [sample.columns, *rows])
        _refuse(path, _problems(draft, sample, clip, sums, TOLERANCE))
        os.replace(draft, path)
    return path


def validate_submission(path, sample, *, clip=None, tolerance=TOLERANCE, sums=True):
    """Check a submission against the competition's sample.

    What Kaggle would refuse or misread: other columns, or in another order, other numbers of
    cells, ids missing, unknown or twice, values that are no number from 0 to 1. And signs of a
    mistake in what Kaggle would take: rows that do not sum to 1 (its log loss divides them by
    their sum), and rows in another order than the sample's (it goes by the id).

    Parameters
    ----------
    path : path
        A .csv or .csv.gz file.
    sample : path or SampleSubmission
        The competition's sample_submission.csv.
    clip : float, optional
        With which it was clipped: rows may then sum to as much as that makes of a row that
        summed to 1.
    tolerance : float
        How far the sum of a row may otherwise be from 1.
    sums : bool
        Whether rows of several values are to sum to 1. False where labels do not exclude each
        other.

    Raises
    ------
    InvalidSubmission
        A ValueError whose `problems` are all that was found, each with its line.
    """
    _refuse(path, _problems(path, _sample(sample), clip, sums, tolerance))


def _refuse(name, problems):
    if problems:
        raise InvalidSubmission(name, problems)


def _problems(path, sample, clip, sums, tolerance):
    header, rows = _read(path)
    if tuple(header) != sample.columns:
        return [f"line 1: the columns are {header}; the sample has {list(sample.columns)}"]
    k = len(header) - 1
    # at most k - 2 values are raised to the floor without another one being cut by as much
    above = tolerance if clip is None else tolerance + max(0, k - 2) * (1 - clip) / max(1, k - 1)
    problems = []
    for line, row in rows:
        if len(row) != k + 1:
            problems.append(f"line {line}: {len(row)} cells, the header has {k + 1}")
            continue
        values = [float(text) if NUMBER.fullmatch(text) else np.nan for text in row[1:]]
        problems += [
            f"line {line}, column {column}: {text!r} is not a number from 0 to 1"
            for column, text, value in zip(header[1:], row[1:], values, strict=True)
            if not 0 <= value <= 1
        ]
        total = sum(values)
        if sums and k > 1 and np.isfinite(total) and not -tolerance <= total - 1 <= above:
            problems.append(f"line {line}: the row sums to {total:.6g}, not to 1")
    return [*problems, *_id_problems(rows, sample)]


def _id_problems(rows, sample):
    wanted = {id: row for row, id in enumerate(sample.ids)}
    found = {row[0] for _, row in rows if row}
    unknown = [(line, row[0]) for line, row in rows if row and row[0] not in wanted]
    yield from (f"line {line}: id {id!r} is not in the sample" for line, id in unknown)
    if any("/" in id and PurePosixPath(id).name in wanted for _, id in unknown):
        yield "ids carry a folder that the sample's do not: take `pathlib.Path(file).name`"
    yield from _twice(rows)
    for id, row in wanted.items():
        if id not in found:
            yield f"id {id!r} of the sample's line {row + 2} is missing"
    if len(rows) != len(wanted):
        yield f"{len(rows)} rows; the sample has {len(wanted)}"
    known = [(line, row[0]) for line, row in rows if row and row[0] in wanted]
    places = [wanted[id] for _, id in known]
    for (line, id), here, before in zip(known[1:], places[1:], places, strict=False):
        if here < before:
            yield f"line {line}: id {id!r} stands on the sample's line {here + 2}: another order"


def _twice(rows):
    first = {}
    for line, row in rows:
        if row and first.setdefault(row[0], line) != line:
            yield f"line {line}: id {row[0]!r} stands on line {first[row[0]]} already"


def _check_sample(name, header, rows, *, folders=True):
    """Raise InvalidSubmission unless (line, cells) make a sample; ids with folders only if told."""
    problems = [] if len(header) > 1 else ["line 1: fewer than two columns"]
    problems += [] if len(set(header)) == len(header) else ["line 1: a column twice"]
    problems += [] if rows else ["no rows"]
    problems += [f"line {line}: no id" for line, row in rows if not row[0]]
    problems += _twice(rows)
    if not folders:
        problems += [
            f"line {line}: id {row[0]!r} carries a folder: take `pathlib.Path(file).name`, or "
            "give sample= if the competition's ids have one"
            for line, row in rows
            if "/" in row[0] or "\\" in row[0]
        ]
    _refuse(name, problems)


def _sample(sample):
    if not isinstance(sample, SampleSubmission):
        return read_sample_submission(sample)
    _check_sample("sample", sample.columns, _rows(sample))
    return sample


def _rows(sample):
    return [(line, [id]) for line, id in enumerate(sample.ids, 2)]


def _texts(ids):
    ids = list(ids)
    for id in ids:
        if isinstance(id, bool) or not isinstance(id, str | numbers.Integral):
            raise ValueError(f"ids: received {id!r}. Accepted are text and whole numbers.")
    return [str(id) for id in ids]


def _read(path):
    """Return the header, and (line, cells) of every row, of a .csv or .csv.gz file."""
    path = Path(path)
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, [])
            return header, [(lines.line_num, row) for row in lines]
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not comma-separated text in UTF-8: {error}") from error


def _write(path, rows):
    with path.open("wb") as raw:
        # a fixed time and no name, so that the same rows are the same bytes
        packed = (
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix.lower() == ".gz" else raw
        )
        with io.TextIOWrapper(packed, encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
