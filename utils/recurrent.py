"""Text for recurrent networks: windows and parallel streams, the state carried on, sampling.

A network that carries its state from batch to batch must be shown text in that order: row j of a
batch has to go on where row j of the batch before it ended. :func:`streams` lays a text out so.
"""

import keras
import numpy as np

from utils._whole_numbers import checked_ids

__all__ = [
    "CarryState",
    "ResetStates",
    "generate",
    "log_probabilities",
    "narrowed",
    "reset_states",
    "stateful_copy",
    "step_by_step",
    "streams",
    "windows",
]


def windows(ids, length, *, stride=1, every_step=False):
    """Cut a text into rows to read, each with what follows.

    Parameters
    ----------
    ids : array
        (n,) whole numbers.
    length : int
        Tokens of a row, from 1.
    stride : int
        From the start of one row to that of the next; `length` cuts without overlap.
    every_step : bool
        Whether the target is the token after each token of a row, or after the last one only.

    Returns
    -------
    x : numpy.ndarray
        (rows, length) int32.
    y : numpy.ndarray
        (rows, length) int32 if `every_step`, else (rows,).

    Raises
    ------
    ValueError
        If the text is shorter than one row and its target.
    """
    ids = checked_ids(ids, least=length + 1).astype(np.int32)
    if stride < 1 or length < 1:
        raise ValueError(f"length={length!r}, stride={stride!r}: numbers from 1 are needed.")
    rows = np.lib.stride_tricks.sliding_window_view(ids, length + 1)[::stride]
    y = rows[:, 1:] if every_step else rows[:, -1]
    return rows[:, :-1].copy(), y.copy()


def streams(ids, batch_size, length):
    """Lay a text out in parallel streams, for a stateful network and `shuffle=False`.

    The text is cut into `batch_size` equal streams, each of them into pieces of `length`. Batch k
    holds piece k of every stream, so that row j of a batch goes on where row j of the one before
    ended.

    Parameters
    ----------
    ids : array
        (n,) whole numbers; what is left over at the end is not used.
    batch_size : int
        Number of streams; also the `batch_size` to fit with.
    length : int
        Tokens read before the weights are updated.

    Returns
    -------
    x, y : numpy.ndarray
        (batches · batch_size, length) int32: what is read, and the next token at each step.

    Raises
    ------
    ValueError
        If the text is too short for one batch.
    """
    if batch_size < 1 or length < 1:
        raise ValueError(f"batch_size={batch_size!r}, length={length!r}: from 1 are needed.")
    ids = checked_ids(ids, least=batch_size * length + 1).astype(np.int32)
    pieces = (len(ids) - 1) // (batch_size * length)
    used = batch_size * pieces * length

    def lay_out(row):
        return row.reshape(batch_size, pieces, length).swapaxes(0, 1).reshape(-1, length).copy()

    return lay_out(ids[:used]), lay_out(ids[1 : used + 1])


class CarryState(keras.layers.Layer):
    """A recurrent layer whose state goes on from batch to batch, on every backend.

    Keras' own `stateful=True` does not on JAX (as of 3.15): in `fit` and `predict` each batch
    starts from the same state, and nothing says so, for the state is no tracked variable. Here
    it is one.

    Parameters
    ----------
    layer : keras.layers.RNN
        `LSTM`, `GRU`, `SimpleRNN` or a cell's `RNN`, with `return_sequences=True`.

    Raises
    ------
    ValueError
        If the layer is something else, reads backwards or stacks cells, if the batch size is not
        fixed (`Input(batch_shape=...)`), or a batch has other rows than that.

    Notes
    -----
    The layer is made anew, without weights it may have had (:func:`stateful_copy` brings them). A
    saved model keeps the state it was saved with: :func:`reset_states` after loading.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        if isinstance(layer, dict):  # from get_config
            layer = keras.layers.deserialize(layer)
        if not isinstance(layer, keras.layers.RNN) or not layer.return_sequences:
            raise ValueError(f"layer={layer!r} is no recurrent layer with return_sequences=True.")
        if layer.go_backwards or isinstance(layer.cell, keras.layers.StackedRNNCells):
            raise ValueError(f"layer={layer!r} reads backwards or stacks cells: no state to carry.")
        own = {"return_state": True, "stateful": False}
        self.layer = type(layer).from_config(layer.get_config() | own)

    def build(self, input_shape):
        """Build the layer inside, and a state of zeros for each row of a batch."""
        if input_shape[0] is None:
            raise ValueError("To carry a state the batch size must be fixed: Input(batch_shape=).")
        self.layer.build(input_shape)
        self.states = [
            self.add_weight((input_shape[0], size), "zeros", trainable=False, name=f"state_{i}")
            for i, size in enumerate(keras.tree.flatten(self.layer.state_size))
        ]
        self.built = True

    def call(self, sequences, mask=None, training=None):
        """Read (rows, steps, features), going on from the state; keep the new one."""
        rows, kept = sequences.shape[0], self.states[0].shape[0]
        if rows not in (None, kept):
            raise ValueError(
                f"Received {rows} rows; this layer carries the state of {kept}, one for each row "
                "of a batch. Leave out what does not fill the last batch."
            )
        rows = keras.ops.shape(sequences)[0]  # unknown until then where batches are traced
        outputs, *states = self.layer(  # a state cut to the rows: one row must not spread over all
            sequences,
            initial_state=[state[:rows] for state in self.states],
            mask=mask,
            training=training,
        )
        for kept, state in zip(self.states, states, strict=True):
            kept.assign(state)
        return outputs

    def compute_mask(self, sequences, mask=None):
        """Pass the mask on."""
        return mask

    def compute_output_shape(self, input_shape):
        """Return the (rows, steps, units) of the output."""
        return self.layer.compute_output_shape(input_shape)[0]

    def reset_state(self):
        """Forget: the next batch begins with a state of zeros."""
        for kept in self.states:
            kept.assign(keras.ops.zeros(kept.shape, kept.dtype))

    def get_config(self):
        """Return what it takes to make this layer again."""
        return super().get_config() | {"layer": keras.layers.serialize(self.layer)}


class ResetStates(keras.callbacks.Callback):
    """Lets every pass over a text, in training or in evaluation, begin with an empty state.

    Keras 3 does not: `fit` and `evaluate` leave a state where it was.
    """

    def on_epoch_begin(self, epoch, logs=None):
        """Forget what the last epoch ended with."""
        reset_states(self.model)

    def on_test_begin(self, logs=None):
        """Forget what was read in training."""
        reset_states(self.model)

    def on_test_end(self, logs=None):
        """Forget what was evaluated."""
        reset_states(self.model)

    def on_predict_begin(self, logs=None):
        """Forget what was read before."""
        reset_states(self.model)


def reset_states(model):
    """Empty the state of every layer of a model that has one, in models within it too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            reset_states(layer)
        elif isinstance(layer, CarryState) or getattr(layer, "stateful", False):
            layer.reset_state()


def stateful_copy(model, batch_size, length=None):
    """Return the same network, with its weights, that carries its state from call to call.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, one row of ids or vectors in, with recurrent layers that return
        sequences, in :class:`CarryState` or not. It is left as it is.
    batch_size : int
        Rows of each call; row j goes on from row j of the last call.
    length : int or None
        Steps of each call; None for any number.

    Returns
    -------
    keras.Model
        Not compiled, its state empty; see :func:`reset_states`.

    Raises
    ------
    ValueError
        If no layer of the model is recurrent, or one is a model of its own or reads both ways.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model | keras.layers.Bidirectional):
            raise ValueError(
                f"Layer {layer.name!r} of model {model.name!r} is a {type(layer).__name__}: its "
                "state cannot be carried forwards. Lay the model out flat, one way."
            )
    if not any(isinstance(layer, keras.layers.RNN | CarryState) for layer in model.layers):
        raise ValueError(f"Model {model.name!r} has no recurrent layer to carry a state.")

    def clone(layer):
        if isinstance(layer, keras.layers.RNN):
            return CarryState(layer, name=layer.name)
        return type(layer).from_config(layer.get_config())

    inputs = keras.Input(
        batch_shape=(batch_size, length, *model.input_shape[2:]), dtype=model.inputs[0].dtype
    )
    copy = keras.models.clone_model(model, input_tensors=inputs, clone_function=clone)
    if keras.backend.backend() == "tensorflow":
        copy.jit_compile = False  # XLA takes longer to compile a small network than it saves
    for layer in model.layers:
        if layer.weights:
            _bare(copy.get_layer(layer.name)).set_weights(_bare(layer).get_weights())
    return copy


def _bare(layer):
    return layer.layer if isinstance(layer, CarryState) else layer


def log_probabilities(model, ids, *, batch_size=16, length=100, context=()):
    """Return how likely a model found each next token of a text, read from start to end.

    The text is read in parallel streams with the state carried on, each stream starting from
    nothing at its first token; with `batch_size=1` it is one long pass.

    Parameters
    ----------
    model : keras.Model
        Reads (rows, steps) ids and returns (rows, steps, vocabulary) probabilities.
    ids : array
        (n,) whole numbers.
    batch_size, length : int
        Streams, and steps of each call; they change the time it takes, and where streams begin.
    context : array
        Tokens before them, read first where there is one stream.

    Returns
    -------
    numpy.ndarray
        (m,) natural logarithms in the order of the text, without its first token unless there is
        a context, and without what is left over at the end, of each stream less than `length`.

    Raises
    ------
    ValueError
        If nothing of `ids` would be scored, an id is none of the vocabulary, or the output of the
        model is no distribution over it.
    """
    ids = np.asarray(ids)
    if len(context):
        if batch_size != 1:
            raise ValueError(f"batch_size={batch_size}: a context needs batch_size=1, one stream.")
        ids = np.concatenate([np.asarray(context), ids])
    x, y = streams(ids, batch_size, length)
    if y.size < max(len(context), 1):
        raise ValueError(
            f"length={length}: of {len(ids) - len(context)} tokens after {len(context)} of context "
            f"none would be scored, for whole pieces of {length} are read. Take a shorter length."
        )
    checked_ids(ids, model.output_shape[-1])
    reader = stateful_copy(model, batch_size, length)
    found = []
    for start in range(0, len(x), batch_size):
        p = reader.predict_on_batch(x[start : start + batch_size])
        if not np.allclose(p.sum(axis=-1), 1, atol=1e-2) or (p < 0).any():
            raise ValueError(
                f"The output of model {model.name!r} is no distribution over the vocabulary: end "
                "the model with a softmax."
            )
        p = np.take_along_axis(p, y[start : start + batch_size, :, None], axis=2)
        found.append(np.log(np.maximum(p[..., 0], 1e-30)))
    in_order = np.concatenate(found, axis=1).ravel()
    return in_order[max(len(context) - 1, 0) :]


def narrowed(probabilities, *, temperature=1.0, nucleus=1.0):
    """Sharpen a distribution, or cut its tail off, before drawing from it.

    Parameters
    ----------
    probabilities : array
        (vocabulary,), with sum 1.
    temperature : float
        p becomes proportional to p^(1 / temperature): below 1 the likely gets likelier, above 1
        all gets more alike. 0 leaves the likeliest token alone.
    nucleus : float
        Then only the likeliest tokens stay, as few as hold this share together, above 0 to 1.
        Source: Holtzman and others, The Curious Case of Neural Text Degeneration (ICLR 2020).

    Returns
    -------
    numpy.ndarray
        (vocabulary,) float64, with sum 1.

    Raises
    ------
    ValueError
        If something is out of range or the probabilities are none.
    """
    p = np.asarray(probabilities, np.float64)
    if not temperature >= 0:
        raise ValueError(f"temperature={temperature!r} is below 0.")
    if not 0 < nucleus <= 1:
        raise ValueError(f"nucleus={nucleus!r} is not in 0 < nucleus <= 1.")
    if p.ndim != 1 or not p.size or not (p >= 0).all() or not abs(p.sum() - 1) < 1e-3:
        raise ValueError(f"Received shape {p.shape}, sum {p.sum()}; one distribution is needed.")
    if temperature == 0:
        return np.eye(len(p))[p.argmax()]
    p = np.where(p > 0, np.exp(np.log(np.maximum(p / p.max(), 1e-300)) / temperature), 0.0)
    if nucleus < 1:
        order = np.argsort(-p, kind="stable")
        held = np.cumsum(p[order])  # within rounding, so that .42 + .32 + .16 does hold .9
        enough = np.searchsorted(held, nucleus * held[-1] * (1 - 1e-9))
        p[order[enough + 1 :]] = 0.0
    return p / p.sum()


def step_by_step(model):
    """Return a function that feeds a model one token after another, its state carried on.

    Parameters
    ----------
    model : keras.Model
        As in :func:`log_probabilities`.

    Returns
    -------
    callable
        `read(ids)` reads (n,) further ids and returns the (vocabulary,) probabilities of the next;
        `read.forget()` empties the state, for another text.
    """
    reader = stateful_copy(model, 1, 1)

    def read(ids):
        for id in checked_ids(
            ids, model.output_shape[-1], least=1
        ):  # one shape of call, so that it is compiled once
            p = reader.predict_on_batch(np.array([[id]], np.int32))
        return p[0, -1]

    read.forget = lambda: reset_states(reader)
    return read


def generate(read, prompt, count, *, temperature=1.0, nucleus=1.0, seed=0, stop=None):
    """Draw tokens one after another, each given all before it.

    Parameters
    ----------
    read : callable
        Takes the (n,) ids that are new and returns the (vocabulary,) probabilities of the next
        token, such as :func:`step_by_step` makes. What it has read before is forgotten first,
        where it has a `forget`.
    prompt : array
        (n,) ids to begin with, from 1.
    count : int
        How many to draw.
    temperature, nucleus : float
        As in :func:`narrowed`.
    seed : int
        The same seed draws the same tokens.
    stop : int, optional
        An id after which to stop.

    Returns
    -------
    numpy.ndarray
        (count,) int32 ids, or fewer, the prompt not among them.
    """
    rng = np.random.default_rng(seed)
    new, drawn = checked_ids(prompt, least=1), []
    getattr(read, "forget", lambda: None)()
    for _ in range(count):
        p = narrowed(read(new), temperature=temperature, nucleus=nucleus)
        drawn.append(int(rng.choice(len(p), p=p)))
        if drawn[-1] == stop:
            break
        new = np.array(drawn[-1:], np.int32)
    return np.array(drawn, np.int32)
