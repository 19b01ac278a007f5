"""IMDB: 50,000 film reviews as lists of word ranks, half of them positive.

Two files, as `keras.datasets` hosts them: `imdb.npz` (x_train, y_train, x_test, y_test; the
reviews are pickled lists) and `imdb_word_index.json` (word -> rank by frequency, 1 is "the").
Source: Maas and others, Learning Word Vectors for Sentiment Analysis (ACL 2011).

The files and this loader use **raw ranks**: id 1 is the most frequent word.
`keras.datasets.imdb.load_data()` does not. By default it adds 3 to every rank, puts id 1 in
front of each review, writes id 2 for words it leaves out, and shuffles; yet
`keras.datasets.imdb.get_word_index()` is not shifted. So looking its ids up as they are gives
fluent nonsense, and nothing warns of it. To read ids that came from there::

    words = {rank + 3: word for word, rank in keras.datasets.imdb.get_word_index().items()}
    text = " ".join(words[i] for i in x_train[0] if i > 3)    # 1 start, 2 left out

and to get raw ranks from there: `load_data(start_char=None, oov_char=None, index_from=0)`, which
still shuffles and loses the rarest word.
"""

import json
from array import array
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from utils._whole_numbers import checked_ids
from utils.datasets import origin
from utils.datasets.npz import read_npz

__all__ = ["Reviews", "load_imdb"]

PADDING, RARE = "<pad>", "<rare>"
# what the texts were split at when the data were made: all of these became spaces, ' did not
PUNCTUATION = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
TO_SPACES = str.maketrans(dict.fromkeys(PUNCTUATION, " "))


@dataclass(frozen=True, eq=False, repr=False)
class Reviews:
    """Film reviews as rows of word ids, with their labels, and the words behind the ids.

    Ids: 0 is padding, 1 to `vocabulary_size` - 2 are the most frequent words in order, and
    `vocabulary_size` - 1 stands for every rarer word.

    Attributes
    ----------
    x_train, x_test : numpy.ndarray
        (n, length) int32 ids.
    y_train, y_test : numpy.ndarray
        (n,) int8: 1 positive, 0 negative.
    sequences_train, sequences_test : tuple of numpy.ndarray
        The uncut reviews: (words,) int32 raw ranks each. Not copies: do not write into them.
    words : tuple of str
        (vocabulary_size,): `words[id]`, with `"<pad>"` first and `"<rare>"` last.
    word_index : dict of str to int
        Word -> raw rank, for every word there is.
    vocabulary_size, length : int
        Number of ids, and of columns.
    padding, truncating : {"pre", "post"}
        Where short reviews are filled up and long ones are cut.
    source, edition : str
        `"real"` or `"stand-in"`, and which edition.
    folder : pathlib.Path
        Where it was read.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    sequences_train: tuple
    sequences_test: tuple
    words: tuple
    word_index: dict
    vocabulary_size: int
    length: int
    padding: str
    truncating: str
    source: str
    edition: str
    folder: Path = field(default=Path())

    def __repr__(self):
        cut = "" if (self.padding, self.truncating) == ("pre", "pre") else (
            f", padding {self.padding}, truncating {self.truncating}"
        )  # fmt: skip
        return (
            f"Reviews: {len(self.x_train):,} to train, {len(self.x_test):,} to test, "
            f"{self.vocabulary_size:,} ids, {self.length} tokens{cut} "
            f"({self.source}, edition {self.edition})"
        )

    def matrix(self, sequences, vocabulary_size=None, length=None, padding=None, truncating=None):
        """Cut and pad raw sequences to a matrix of ids.

        Parameters
        ----------
        sequences : sequence of sequences of int
            Raw ranks, such as `sequences_train`.
        vocabulary_size, length, padding, truncating : optional
            As in :func:`load_imdb`; by default what this object was loaded with.

        Returns
        -------
        numpy.ndarray
            (len(sequences), length) int32.

        Raises
        ------
        ValueError
            If an argument is not what :func:`load_imdb` accepts, or a sequence holds anything but
            whole numbers from 0. The message names the sequence.
        """
        if sequences is not self.sequences_train and sequences is not self.sequences_test:
            sequences = [
                checked_ids(ids, hint=f" This is sequences[{number}].")
                for number, ids in enumerate(sequences)
            ]
        return _matrix(
            sequences,
            self.vocabulary_size if vocabulary_size is None else vocabulary_size,
            self.length if length is None else length,
            self.padding if padding is None else padding,
            self.truncating if truncating is None else truncating,
        )

    def decode(self, ids, *, raw=False):
        """Turn ids back into text.

        Parameters
        ----------
        ids : sequence of int
            A row of `x_train`; padding is dropped.
        raw : bool
            True for uncut raw ranks, such as `sequences_train[0]`: every word has a name.

        Returns
        -------
        str
            Words with a space between, no capitals, no punctuation.

        Raises
        ------
        ValueError
            If there is no such id.
        """
        words = self._ranked if raw else self.words
        ids = checked_ids(ids, len(words), hint=" Uncut raw ranks need raw=True.")
        return " ".join(words[i] for i in ids if i)

    def encode(self, text):
        """Turn text into a row of ids, split into words as the data were.

        Capitals become small, punctuation becomes spaces, apostrophes stay. Words that are
        not among the first `vocabulary_size` - 2, unknown ones included, get the rare id. A word
        with a typographic apostrophe that would get it is looked up with a plain one.

        Parameters
        ----------
        text : str
            A review of your own.

        Returns
        -------
        numpy.ndarray
            (length,) int32, ready for a model trained on `x_train`.

        Raises
        ------
        ValueError
            If it is no text.
        """
        if not isinstance(text, str):
            raise ValueError(
                f"text is a {type(text).__name__}, {text!r:.60}; one text is accepted, a str."
            )
        rare = self.vocabulary_size - 1

        def rank(word):
            own = self.word_index.get(word, rare)
            return own if own < rare else self.word_index.get(word.replace("’", "'"), rare)

        words = [word for word in text.lower().translate(TO_SPACES).split(" ") if word]
        return self.matrix([[rank(word) for word in words]])[0]

    @cached_property
    def _ranked(self):
        return _ranked(self.word_index)


def load_imdb(
    vocabulary_size=5000,
    length=500,
    *,
    padding="pre",
    truncating="pre",
    rows=None,
    seed=0,
    folder=None,
):
    """Load the IMDB reviews the way the lesson does.

    The module's docstring tells how these ids differ from `keras.datasets.imdb`.

    Parameters
    ----------
    vocabulary_size : int
        Number of ids, at least 3: padding, the most frequent words, and one for all rarer words.
    length : int
        Number of columns. Shorter reviews are filled up with 0, longer ones cut.
    padding : {"pre", "post"}
        Where 0s are put: in front, or behind.
    truncating : {"pre", "post"}
        Where long reviews are cut: `"pre"` keeps the end, where reviewers conclude.
    rows : int, optional
        A random sample of up to so many reviews from each half, half of them positive, in
        file order. By default all.
    seed : int
        Of that sample.
    folder : path, optional
        Your own `imdb.npz` and `imdb_word_index.json`. By default the real set or its
        stand-in, as `LESSONS_SOURCE` says.

    Returns
    -------
    Reviews

    Raises
    ------
    ValueError
        If an argument is not accepted, a file is damaged or made to run code, a review is empty
        or holds anything but ranks of the word index, or labels are not 0 and 1. The message
        names the file and the review.
    utils.fetch.DataUnavailable
        If `LESSONS_SOURCE` is `real` and the set cannot be had.
    """
    _check_arguments(vocabulary_size, length, padding, truncating)
    if rows is not None and (not _is_whole(rows) or rows < 2):
        raise ValueError(f"rows={rows!r} is not a whole number from 2, or None for all reviews.")
    found = origin.find("imdb", folder)
    archive, index_file = origin.require(found.folder, "imdb.npz", "imdb_word_index.json")
    word_index = _read_word_index(index_file)
    arrays = {}
    for name, values in read_npz(archive, ("x_train", "y_train", "x_test", "y_test")):
        if name.startswith("x"):
            arrays[name] = _sequences(archive, name, values, index_file, len(word_index))
        else:
            arrays[name] = _labels(archive, name, values, len(arrays[f"x{name[1:]}"]))

    rng = np.random.default_rng(seed)
    for half in ("train", "test"):
        x, y = arrays[f"x_{half}"], arrays[f"y_{half}"]
        if rows is not None and rows < len(x):
            chosen = _balanced_sample(y, rows, rng)
            arrays[f"x_{half}"] = tuple(x[i].copy() for i in chosen)
            arrays[f"y_{half}"] = y[chosen]

    ranked = _ranked(word_index)
    spare = max(0, vocabulary_size - 1 - len(ranked))  # ids that no word has
    how = (vocabulary_size, length, padding, truncating)
    return Reviews(
        x_train=_matrix(arrays["x_train"], *how),
        y_train=arrays["y_train"],
        x_test=_matrix(arrays["x_test"], *how),
        y_test=arrays["y_test"],
        sequences_train=arrays["x_train"],
        sequences_test=arrays["x_test"],
        words=ranked[: vocabulary_size - 1] + (RARE,) * (spare + 1),
        word_index=word_index,
        vocabulary_size=vocabulary_size,
        length=length,
        padding=padding,
        truncating=truncating,
        source=found.source,
        edition=found.edition,
        folder=found.folder,
    )


def _is_whole(number):
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def _check_arguments(vocabulary_size, length, padding, truncating):
    for name, number, least in (("vocabulary_size", vocabulary_size, 3), ("length", length, 1)):
        if not _is_whole(number) or number < least:
            raise ValueError(f"{name}={number!r} is not a whole number from {least}.")
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"{name}={side!r} is not 'pre' or 'post'.")


def _matrix(sequences, vocabulary_size, length, padding, truncating):
    _check_arguments(vocabulary_size, length, padding, truncating)
    ids = np.zeros((len(sequences), length), np.int32)
    for row, sequence in zip(ids, sequences, strict=True):
        kept = sequence[-length:] if truncating == "pre" else sequence[:length]
        if padding == "pre":
            row[length - len(kept) :] = kept
        else:
            row[: len(kept)] = kept
    return np.minimum(ids, vocabulary_size - 1, out=ids)


def _ranked(word_index):
    """Return the words by rank: padding at 0, then the most frequent word."""
    words = [PADDING] * (len(word_index) + 1)
    for word, rank in word_index.items():
        words[rank] = word
    return tuple(words)


def _balanced_sample(labels, rows, rng):
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    wanted = min(rows - rows // 2, len(positive)), min(rows // 2, len(negative))
    chosen = [
        rng.choice(rows_of_label, count, replace=False)
        for rows_of_label, count in zip((positive, negative), wanted, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _read_word_index(path):
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON in UTF-8 ({error}). Fetch it again.") from error
    if not isinstance(index, dict) or not index:
        raise ValueError(f"{path} does not hold words and their ranks.")
    if set(map(type, index.values())) != {int} or len(set(index.values())) != len(index):
        _refuse_index(path, index)
    if min(index.values()) != 1 or max(index.values()) != len(index):
        _refuse_index(path, index)
    return index


def _refuse_index(path, index):
    word_of = {}
    for word, rank in index.items():
        if type(rank) is not int or not 1 <= rank <= len(index):
            raise ValueError(
                f"{path}: the word {word!r} has rank {rank!r}; {len(index)} words need the whole "
                f"ranks 1 to {len(index)}, each once. Is it an index shifted by Keras' 3?"
            )
        if rank in word_of:
            raise ValueError(
                f"{path}: {word_of[rank]!r} and {word!r} both have rank {rank}. "
                f"Give every word a rank of its own, 1 to {len(index)}."
            )
        word_of[rank] = word


def _sequences(path, name, values, index_file, n_words):
    """Turn lists of ranks into views on one array, after checking every one of them."""

    def refuse(review, what):
        raise ValueError(f"{path}, {name}[{review}] (review {review + 1}): {what}")

    if not isinstance(values, list):
        raise ValueError(f"{path}, {name}: holds {values.dtype} numbers instead of reviews.")
    if not values:
        raise ValueError(f"{path}, {name}: holds no reviews.")
    flat, ends = array("i"), [0]
    for review, value in enumerate(values):
        value = value.tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(value, list):
            refuse(review, f"received {type(value).__name__} instead of a list of word ranks.")
        if not value:
            refuse(review, "the review is empty. Leave it out, with its label.")
        try:
            flat.fromlist(value)
        except (TypeError, OverflowError):
            odd = next(rank for rank in value if not _is_whole(rank) or abs(rank) > n_words)
            refuse(
                review,
                f"received {odd!r} among the word ranks, which are integers from 1 to {n_words}, "
                f"the number of words in {index_file.name}.",
            )
        ends.append(len(flat))
    ranks = np.frombuffer(flat, np.int32)
    wrong = (ranks < 1) | (ranks > n_words)
    if wrong.any():
        token = int(np.argmax(wrong))
        review = int(np.searchsorted(ends, token, side="right")) - 1
        if ranks[token] < 1:
            refuse(review, f"received id {ranks[token]}. Ranks start from 1; 0 is for padding.")
        refuse(
            review,
            f"received id {ranks[token]}, but {index_file.name} has {n_words} words. The two files "
            f"do not belong together, or the ids are shifted as keras.datasets.imdb shifts them.",
        )
    return tuple(ranks[start:end] for start, end in pairwise(ends))


def _labels(path, name, values, n_reviews):
    labels = np.asarray(values)
    if len(labels) != n_reviews:
        raise ValueError(f"{path}, {name}: {len(labels)} labels for {n_reviews} reviews.")
    if labels.dtype.kind not in "iub" or not np.isin(labels, (0, 1)).all():
        row = 0 if labels.dtype.kind not in "iub" else int(np.argmin(np.isin(labels, (0, 1))))
        raise ValueError(
            f"{path}, {name}[{row}]: received label {labels[row]!r}. "
            f"Write integers, 1 for positive and 0 for negative."
        )
    return labels.astype(np.int8)
