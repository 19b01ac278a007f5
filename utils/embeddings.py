"""An embedding as Keras 1 had it, and its table filled with vectors that were learned elsewhere."""

import dataclasses

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
        Share of the ids, 0 to 1, that a training batch forgets: their rows become 0 wherever
        they occur, and the others are scaled by 1 / (1 - dropout). It is what
        `Embedding(dropout=...)` did in Keras 1; no layer of Keras 3 does it.
    **options
        Further options of `keras.layers.Embedding`.

    Raises
    ------
    ValueError
        If `dropout` is not between 0 and 1.
    """

    def __init__(self, input_dim, output_dim, dropout=0.0, **options):
        super().__init__(input_dim, output_dim, **options)
        self.dropout = dropout
        self.forget = layers.Dropout(dropout, noise_shape=(input_dim, 1))  # one draw for each id

    def call(self, inputs, training=None):
        """Look up ids, an integer array of any shape; returns that shape + (output_dim,)."""
        table = ops.multiply(
            self.embeddings, 1.0
        )  # no longer the variable: a gradient in one piece
        table = self.forget(table, training=training)
        return ops.take(table, ops.cast(inputs, "int32"), axis=0)

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
        Anything with `vectors`, (m, width) numbers, and `index`, a dictionary word -> row.
    counts : array, optional
        (len(words),), how often each id occurs, for the report.
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
        case), or there is not one count, from 0, for each word.
    """
    words = tuple(words)
    counts = np.ones(len(words), int) if counts is None else np.asarray(counts)
    if counts.shape != (len(words),) or (counts < 0).any():
        raise ValueError(
            f"Received counts of shape {counts.shape} for {len(words)} words; one number from 0 "
            f"for each is accepted, such as np.bincount(ids.ravel(), minlength={len(words)})."
        )
    is_word = np.array([i > 0 and not w.startswith("<") for i, w in enumerate(words)], bool)
    rows = np.array([vectors.index.get(word, -1) for word in words], int)
    found = is_word & (rows >= 0)
    if found.sum() < 2:
        raise ValueError(
            f"{found.sum()} of {is_word.sum()} words have a vector, for instance not "
            f"{[w for w, is_one in zip(words, is_word, strict=True) if is_one][:3]}. Words are "
            f"looked up as they are written, capitals included; the first id is padding."
        )
    known = np.asarray(vectors.vectors[rows[found]], "float32")
    like = known.mean(axis=0), known.std(axis=0), (len(words), known.shape[1])
    matrix = np.random.default_rng(seed).normal(*like).astype("float32")
    matrix[found] = known
    matrix[0] = 0
    return matrix, Coverage(words, found, counts, is_word)
