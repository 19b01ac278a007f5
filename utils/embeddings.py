"""An embedding as Keras 1 had it, and its table filled with vectors that were learned elsewhere."""

import dataclasses
import numbers
from collections.abc import Mapping

import keras
import numpy as np
from keras import layers, ops

__all__ = ["Coverage", "WordEmbedding", "embedding_matrix"]


@keras.saving.register_keras_serializable("lessons")
class WordEmbedding(layers.Embedding):
    """`keras.layers.Embedding` with word dropout, and with one gradient for each word.

    On TensorFlow the gradient of `keras.layers.Embedding` is a list of rows, in which a word that
    occurs n times in a batch stands n times. Optimizers that square gradients (Adam, RMSprop,
    Adagrad) then square before they add: such a word's first step is √n times as long as on
    JAX, on PyTorch, and in Keras 1. Here the repeats are added first, on every backend.

    Parameters
    ----------
    input_dim, output_dim : int
        Number of ids, and of numbers for each, as in `keras.layers.Embedding`.
    dropout : float
        Share of the ids, from 0 to below 1, that a training batch forgets: their rows become 0
        wherever they occur, and the others are scaled by 1 / (1 - dropout). It is what
        `Embedding(dropout=...)` did in Keras 1; no layer of Keras 3 does it.
    **options
        Further options of `keras.layers.Embedding`.

    Raises
    ------
    ValueError
        If `dropout` is no number from 0 to below 1.
    """

    def __init__(self, input_dim, output_dim, dropout=0.0, **options):
        number = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool)
        if not number or not 0 <= dropout < 1:
            raise ValueError(
                f"dropout={dropout!r} is no number from 0 to below 1, such as the share 0.2."
            )
        super().__init__(input_dim, output_dim, **options)
        self.dropout = dropout
        # one draw for each id; drawn as finely as the table is kept, also where less is computed
        self.forget = layers.Dropout(dropout, noise_shape=(input_dim, 1), dtype=self.variable_dtype)

    def call(self, inputs, training=None):
        """Look up ids, an integer array of any shape; returns that shape + (output_dim,)."""
        table = ops.multiply(
            self.embeddings, 1.0
        )  # no longer the variable: a gradient in one piece
        table = self.forget(table, training=training)
        rows = ops.take(table, ops.cast(inputs, "int32"), axis=0)
        return ops.cast(rows, self.compute_dtype)

    def get_config(self):
        """Return what it takes to make this layer again."""
        return {**super().get_config(), "dropout": self.dropout}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Coverage:
    """Which words of a vocabulary got a vector, and how much of the text they are.

    Attributes
    ----------
    words : tuple of str
        (n,), one an id.
    found : numpy.ndarray
        (n,) bool: True where the word's row holds the vector that bears its name.
    counts : numpy.ndarray
        (n,), how often each id occurs in the text; ones where nobody counted.
    is_word : numpy.ndarray
        (n,) bool: False for padding and for ids that stand for many words.
    """

    words: tuple
    found: np.ndarray
    counts: np.ndarray
    is_word: np.ndarray

    @property
    def of_words(self):
        """Share of the different words that were found."""
        return float(self.found[self.is_word].mean())

    @property
    def of_text(self):
        """Share of the running words that were found; padding is no word of the text."""
        in_text = self.counts * (np.arange(len(self.counts)) > 0)
        return float(in_text[self.found].sum() / in_text.sum())

    def misses(self, count=10):
        """Return the commonest words without a vector: a list of (word, times it occurs)."""
        missing = np.flatnonzero(self.is_word & ~self.found)
        commonest = missing[np.argsort(-self.counts[missing], kind="stable")][:count]
        return [(self.words[i], int(self.counts[i])) for i in commonest]

    def __repr__(self):
        return (
            f"Coverage: {self.found.sum():,} of {self.is_word.sum():,} words have a vector, "
            f"{self.of_text:.1%} of the text; commonest misses: "
            + (", ".join(word for word, _ in self.misses()) or "none")
        )


def embedding_matrix(words, vectors, *, counts=None, seed=0):
    """Give every id of a vocabulary the vector of its word, to begin an embedding with.

    Hand it to an embedding as `embeddings_initializer=keras.initializers.Constant(matrix)`.

    Rows are matched by the *word*, never by number: a table whose rows are shifted against
    the ids trains without complaint, on the wrong words.

    Parameters
    ----------
    words : sequence of str
        The word of each id, such as `Reviews.words`. The first is padding, and its row is 0. Names
        in angle brackets, such as `<rare>`, stand for many words and are not looked up.
    vectors : WordVectors
        Anything with `vectors`, (m, width) numbers, and `index`, a dictionary word -> row, or
        `words`, the word of each row.
    counts : array, optional
        (len(words),), how often each id occurs, for the report. One of a word must be above 0.
    seed : int
        Of the rows of words without a vector: normal, with the mean and the spread of the
        rows found, number by number, so that they look like vectors and mean nothing.

    Returns
    -------
    matrix : numpy.ndarray
        (len(words), width) float32.
    coverage : Coverage

    Raises
    ------
    ValueError
        If fewer than two words are found (then these are hardly the same language, or not lower
        case), the first is a word and not padding, something is no word, a vector found is not
        finite, or there is not one count, from 0, for each word. The message names the word.
    """
    words, index = _checked_words(words), _index_of(vectors)
    counts = _checked_counts(counts, words)
    is_word = np.array([i > 0 and not _stands_for_many(w) for i, w in enumerate(words)], bool)
    rows = np.array([index.get(word, -1) for word in words], int)
    if rows[:1].max(initial=-1) >= 0 and not _stands_for_many(words[0]):
        raise ValueError(
            f"The first word, {words[0]!r}, has a vector, but id 0 is padding and its row is 0. "
            f"If the ids count from 1, put the padding in front: ['<pad>', *words]."
        )
    found = is_word & (rows >= 0)
    if found.sum() < 2:
        raise ValueError(
            f"{found.sum()} of {is_word.sum()} words have a vector, for instance not "
            f"{[w for w, is_one in zip(words, is_word, strict=True) if is_one][:3]}. Words are "
            f"looked up as they are written, capitals included; the first id is padding."
        )
    if np.ndim(vectors.vectors) != 2 or rows.max() >= len(vectors.vectors):
        raise ValueError(
            f"Received vectors of shape {np.shape(vectors.vectors)}, and words in rows up to "
            f"{rows.max()}; one row of numbers for each word is accepted."
        )
    known = np.asarray(vectors.vectors[rows[found]], "float32")
    if not np.isfinite(known).all():
        bad = np.flatnonzero(found)[int(np.argmin(np.isfinite(known).all(axis=1)))]
        raise ValueError(
            f"The vector of {words[bad]!r} (row {rows[bad]}) is not finite. Mend or drop the word."
        )
    like = known.mean(axis=0), known.std(axis=0), (len(words), known.shape[1])
    matrix = np.random.default_rng(seed).normal(*like).astype("float32")
    matrix[found] = known
    matrix[0] = 0
    return matrix, Coverage(words, found, counts, is_word)


def _stands_for_many(word):
    return len(word) > 2 and word.startswith("<") and word.endswith(">")


def _checked_words(words):
    if isinstance(words, (str, Mapping)):
        raise ValueError(
            f"words is a {type(words).__name__}; a sequence is accepted that has the word of id i "
            f"at place i: of a dictionary d of ranks from 1, ['<pad>', *sorted(d, key=d.get)]."
        )
    words = tuple(words)
    for i, word in enumerate(words):
        if not isinstance(word, str):
            raise ValueError(f"words[{i}]={word!r} is no word but a {type(word).__name__}.")
    return words


def _index_of(vectors):
    index, words = (getattr(vectors, name, None) for name in ("index", "words"))
    if hasattr(vectors, "vectors"):
        if isinstance(index, Mapping):
            return index
        if words is not None and len(words) == len(vectors.vectors):
            return {words[row]: row for row in reversed(range(len(words)))}  # of equals the first
    raise ValueError(
        f"vectors is a {type(vectors).__name__}; anything is accepted that has `vectors` and "
        f"either `index`, a dictionary word -> row, or `words`, as many as vectors."
    )


def _checked_counts(counts, words):
    if counts is None:
        return np.ones(len(words), int)
    counts = np.asarray(counts)
    how = f"such as np.bincount(ids.ravel(), minlength={len(words)})"
    if counts.shape != (len(words),) or counts.dtype.kind not in "iuf":
        raise ValueError(
            f"Received {counts.dtype} counts of shape {counts.shape} for {len(words)} words; one "
            f"number from 0 for each is accepted, {how}."
        )
    good = np.isfinite(counts) & (counts >= 0)
    if not good.all():
        bad = int(np.argmin(good))
        raise ValueError(
            f"Received a count of {counts[bad]} for {words[bad]!r}, one of {len(words)} words; one "
            f"number from 0 for each is accepted, {how}."
        )
    if not counts[1:].any():
        raise ValueError(f"All counts of the {len(words)} words are 0. Count ids, {how}.")
    return counts
