"""A long text as a row of ids, by characters or by words, cut into contiguous parts.

One file, `nietzsche.txt`: *Beyond Good and Evil*, then part of *Human, All Too Human*, in English,
as UTF-8. The lesson read bytes, and so counted 600,901 characters, 59 of them different without
capitals. Decoded, there are 600,893: 84 different, 57 without capitals.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from utils._whole_numbers import checked_ids
from utils.datasets import origin

__all__ = ["Text", "load_text"]

FILE = "nietzsche.txt"
RARE = "<rare>"
TOKEN = re.compile(r"\n\s*\n|\w+(?:['-]\w+)*|--|\.\.\.|[^\w\s]|_")
CLOSING = set(",;:.!?)]") | {"...", "--"}  # no space before these
OPENING = set("([") | {"--"}  # no space after these


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """A text, and its ids in order: of characters, or of words and marks.

    Attributes
    ----------
    text : str
        All of it, as read (in lower case if that was asked for).
    unit : {"character", "word"}
        What an id stands for.
    vocabulary : tuple of str
        `vocabulary[id]`. Characters are sorted; words go by how often they occur in the training
        part, behind `"<rare>"` at 0, which stands for all that are not listed.
    ids : numpy.ndarray
        (n,) int32.
    validation_start, test_start : int
        Where in `ids` the two held-out parts begin.
    source, edition : str
        `"real"` or `"stand-in"`, and which edition.
    folder : pathlib.Path
        Where it was read.
    """

    text: str
    unit: str
    vocabulary: tuple
    ids: np.ndarray
    validation_start: int
    test_start: int
    source: str
    edition: str
    folder: Path = field(default=Path())

    def __len__(self):
        return len(self.ids)

    def __repr__(self):
        return (
            f"Text: {len(self):,} {self.unit}s, {len(self.vocabulary):,} in the vocabulary; "
            f"{len(self.train):,} to train, {len(self.validation):,} to choose by, "
            f"{len(self.test):,} to test ({self.source}, edition {self.edition})"
        )

    @property
    def train(self):
        """(n,) int32 ids of the first part of the text, to learn from."""
        return self.ids[: self.validation_start]

    @property
    def validation(self):
        """(n,) int32 ids of the part that follows, for all choices."""
        return self.ids[self.validation_start : self.test_start]

    @property
    def test(self):
        """(n,) int32 ids of the last part, to be scored once."""
        return self.ids[self.test_start :]

    @cached_property
    def index(self):
        """Dictionary character or word -> id."""
        return {piece: id for id, piece in enumerate(self.vocabulary)}

    def encode(self, text):
        """Turn text into ids, (n,) int32; unknown words become `"<rare>"`.

        Raises
        ------
        ValueError
            If a character does not occur in this text.
        """
        if self.unit == "word":
            return np.array([self.index.get(word, 0) for word in split_words(text)], np.int32)
        for place, character in enumerate(text):
            if character not in self.index:
                small = self.text == self.text.lower() and character.lower() in self.index
                hint = "; it has no capitals" if small else ""
                raise ValueError(
                    f"Character {place}, {character!r}, does not occur in this text{hint}."
                )
        return np.array([self.index[character] for character in text], np.int32)

    def decode(self, ids):
        """Turn ids back into text; words are joined as printers do, blank lines kept.

        Raises
        ------
        ValueError
            If there is no such id.
        """
        pieces = [self.vocabulary[id] for id in checked_ids(ids, len(self.vocabulary))]
        return "".join(pieces) if self.unit == "character" else join_words(pieces)

    def words(self, vocabulary_size=5000):
        """Return the same text by words and marks, cut at the same places.

        A blank line counts as a word, other line ends do not. Which words the vocabulary holds is
        decided on the training part alone, so that the held-out parts have words unknown to it.

        Parameters
        ----------
        vocabulary_size : int
            Number of ids at most, `"<rare>"` among them, from 2.

        Returns
        -------
        Text
            With `unit="word"`.

        Raises
        ------
        ValueError
            If this text goes by words already, has too few, or the vocabulary is too small.
        """
        if self.unit == "word":
            raise ValueError("This text goes by words already; start from load_text().")
        if vocabulary_size < 2:
            raise ValueError(f"vocabulary_size={vocabulary_size!r} is less than 2.")
        matches = list(TOKEN.finditer(self.text))
        words = [_word(match) for match in matches]
        start = np.array([match.start() for match in matches])
        validation_start, test_start = np.searchsorted(
            start, [self.validation_start, self.test_start]
        ).tolist()
        if not 0 < validation_start < test_start < len(words):
            raise ValueError(f"A text of {len(words)} words cannot be cut into three parts.")
        counts = Counter(words[:validation_start])
        ranked = sorted(counts, key=lambda word: (-counts[word], word))[: vocabulary_size - 1]
        index = {word: id for id, word in enumerate(ranked, start=1)}
        return Text(
            text=self.text,
            unit="word",
            vocabulary=(RARE, *ranked),
            ids=np.array([index.get(word, 0) for word in words], np.int32),
            validation_start=validation_start,
            test_start=test_start,
            source=self.source,
            edition=self.edition,
            folder=self.folder,
        )


def _word(match):
    return "\n\n" if match.group()[0] == "\n" else match.group()


def split_words(text):
    """Cut a text into words and marks; a blank line is one too, as two line ends."""
    return [_word(match) for match in TOKEN.finditer(text)]


def join_words(words):
    """Put words and marks together with spaces where a printer puts them."""
    text, previous = [], "\n\n"
    for word in words:
        glued = word == "\n\n" or previous == "\n\n" or word in CLOSING or previous in OPENING
        text.append(word if glued else f" {word}")
        previous = word
    return "".join(text)


def load_text(folder=None, *, lower=False, characters=None, validation=0.1, test=0.1):
    """Load a text by characters; its method `words` gives the same text by words.

    Parameters
    ----------
    folder : path, optional
        With your own `nietzsche.txt`: any text, as UTF-8. By default the real one or its
        stand-in, as `LESSONS_SOURCE` says.
    lower : bool
        Whether to drop capitals.
    characters : int, optional
        Read so many characters at most.
    validation, test : float
        Shares of the text held out at its end: first one to choose by, then one to test on.
        Contiguous parts, for a text whose lines are dealt out at random leaks.

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If the file is not UTF-8 (the message names the byte), is too short to be cut, or an
        argument is out of range.
    utils.fetch.DataUnavailable
        If `LESSONS_SOURCE` is `real` and the text cannot be had.
    """
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ValueError(
            f"validation={validation!r}, test={test!r}: two shares above 0 are needed, whose sum "
            "is below 1."
        )
    if characters is not None and (isinstance(characters, bool) or characters < 1):
        raise ValueError(f"characters={characters!r} is not a number from 1.")
    found = origin.find("nietzsche", folder)
    (file,) = origin.require(found.folder, FILE)
    try:
        text = file.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}, byte {error.start + 1}: {error.object[error.start : error.start + 1]!r} is "
            "not UTF-8 text. Save the file as UTF-8."
        ) from error
    # an accent may come as a character of its own, a line's end as one or two: one way for all
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    text = (text.lower() if lower else text)[:characters]
    validation_start = round(len(text) * (1 - validation - test))
    test_start = round(len(text) * (1 - test))
    if not 0 < validation_start < test_start < len(text):
        raise ValueError(f"{file}: {len(text)} characters cannot be cut into three parts.")
    vocabulary = tuple(sorted(set(text)))
    index = {character: id for id, character in enumerate(vocabulary)}
    return Text(
        text=text,
        unit="character",
        vocabulary=vocabulary,
        ids=np.array([index[character] for character in text], np.int32),
        validation_start=validation_start,
        test_start=test_start,
        source=found.source,
        edition=found.edition,
        folder=found.folder,
    )
