"""An embedding as Keras 1 had it: repeats of a word count together, and words can be forgotten."""

import keras
from keras import layers, ops

__all__ = ["WordEmbedding"]


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
