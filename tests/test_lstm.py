"""The equalities that notebook 16 stands on: LSTM = NumPy, pieces = one pass, masked = alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy.special import expit as sigmoid

from utils.recurrent import (
    CarryState,
    ResetStates,
    log_probabilities,
    reset_states,
    stateful_copy,
    step_by_step,
    streams,
    windows,
)


def lstm(vectors, kernel, recurrent_kernel, bias):
    """Hochreiter and Schmidhuber's cell with Gers' forget gate, in double precision."""
    output = cell = np.zeros(len(recurrent_kernel))
    outputs = []
    for vector in np.asarray(vectors, float):
        total = vector @ kernel + output @ recurrent_kernel + bias
        gate_in, forget, new, gate_out = np.split(total, 4)
        cell = sigmoid(forget) * cell + sigmoid(gate_in) * np.tanh(new)
        output = sigmoid(gate_out) * np.tanh(cell)
        outputs.append(output)
    return np.array(outputs), cell


def language_model(batch_size=None, length=None, *, carry=False, units=7, seed=0, vocabulary=11):
    keras.utils.set_random_seed(seed)
    ids = keras.Input(batch_shape=(batch_size, length), dtype="int32")
    vectors = layers.Embedding(vocabulary, 5, embeddings_initializer="normal")(ids)
    layer = layers.LSTM(units, return_sequences=True, bias_initializer="normal")
    sequences = (CarryState(layer) if carry else layer)(vectors)
    out = layers.Dense(vocabulary, activation="softmax", kernel_initializer="normal")
    return keras.Model(ids, out(sequences))


def by_numpy(model, ids):
    """Return the (n, vocabulary) probabilities of one pass over all ids."""
    (table,), (kernel, recurrent, bias), (out, out_bias) = (
        layer.get_weights() for layer in model.layers if layer.get_weights()
    )
    scores = lstm(table[ids], kernel, recurrent, bias)[0] @ out + out_bias
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def model():
    return language_model()


@pytest.fixture(scope="module")
def ids():
    return np.random.default_rng(3).integers(11, size=241).astype("int32")


@pytest.mark.parametrize(("inputs", "units", "steps"), [(1, 1, 1), (3, 8, 50), (16, 5, 20)])
@pytest.mark.parametrize("unroll", [False, True])
def test_layer_is_the_cell_in_numpy(inputs, units, steps, unroll):
    keras.utils.set_random_seed(inputs)
    layer = layers.LSTM(
        units, return_sequences=True, return_state=True, bias_initializer="normal", unroll=unroll
    )
    vectors = np.random.default_rng(steps).normal(size=(2, steps, inputs)).astype("float32")
    outputs, last, cell = (ops.convert_to_numpy(a) for a in layer(vectors))
    for row in range(2):
        expected, expected_cell = lstm(vectors[row], *layer.get_weights())
        np.testing.assert_allclose(outputs[row], expected, atol=1e-6)
        np.testing.assert_allclose(last[row], expected[-1], atol=1e-6)
        np.testing.assert_allclose(cell[row], expected_cell, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 8, 60])
def test_pieces_with_the_state_carried_are_one_long_pass(model, ids, length):
    reader = stateful_copy(model, 1, length)
    pieces = [reader.predict_on_batch(ids[None, k : k + length])[0] for k in range(0, 120, length)]
    np.testing.assert_allclose(np.concatenate(pieces), by_numpy(model, ids[:120]), atol=1e-6)


@pytest.mark.parametrize(("rows", "length"), [(4, 6), (2, 15)])
def test_streams_give_each_row_its_own_long_pass(model, ids, rows, length):
    x, _ = streams(ids, rows, length)
    reader = stateful_copy(model, rows, length)
    batches = [reader.predict_on_batch(x[k : k + rows]) for k in range(0, len(x), rows)]
    found = np.concatenate(batches, axis=1)
    stream = (len(ids) - 1) // rows
    for row in range(rows):
        text = ids[row * stream : (row + 1) * stream]
        np.testing.assert_allclose(found[row], by_numpy(model, text), atol=1e-6)
    assert found.shape[:2] == (rows, stream)


def test_the_originals_layout_is_no_pass_over_the_text(model, ids):
    x, _ = windows(ids, 6, stride=6, every_step=True)
    reader = stateful_copy(model, 4, 6)
    first, second = (reader.predict_on_batch(x[k : k + 4]) for k in (0, 4))
    whole = by_numpy(model, ids[:48])
    np.testing.assert_allclose(first[0], whole[:6], atol=1e-6)
    assert (
        np.abs(second[0] - whole[24:30]).max() > 1e-4
    )  # row 0 of batch 1 stands there in the text


def test_fit_and_predict_carry_and_reset(ids):
    """Trained with rate 0, the loss of a pass is that of long passes from empty states."""
    model = language_model(4, 6, carry=True)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    x, y = streams(ids, 4, 6)
    options = {"batch_size": 4, "shuffle": False, "verbose": 0, "callbacks": [ResetStates()]}
    losses = model.fit(x, y, epochs=2, **options).history["loss"]
    plain = language_model()
    plain.layers[1].set_weights(model.layers[1].get_weights())
    plain.layers[2].set_weights(model.layers[2].layer.get_weights())
    plain.layers[3].set_weights(model.layers[3].get_weights())
    expected = [
        -np.log(by_numpy(plain, ids[row * 60 : row * 60 + 60])[np.arange(60), y_row])
        for row, y_row in enumerate(ids[1:241].reshape(4, 60))
    ]
    np.testing.assert_allclose(losses, np.mean(expected), rtol=1e-5)
    found = log_probabilities(model, ids, batch_size=4, length=6)
    np.testing.assert_allclose(found, -np.concatenate(expected), atol=1e-5)


def test_without_a_reset_the_last_state_stays(model, ids):
    reader = stateful_copy(model, 1, 20)
    first = reader.predict_on_batch(ids[None, :20])
    again = reader.predict_on_batch(ids[None, :20])
    assert np.abs(again - first).max() > 1e-4
    reset_states(reader)
    np.testing.assert_array_equal(reader.predict_on_batch(ids[None, :20]), first)


def test_a_reader_forgets(model, ids):
    read = step_by_step(model)
    once = read(ids[:5])
    assert not np.array_equal(read(ids[:5]), once)
    read.forget()
    np.testing.assert_array_equal(read(ids[:5]), once)
    np.testing.assert_allclose(once, by_numpy(model, ids[:5])[-1], atol=1e-6)


@pytest.mark.parametrize("padding", [1, 9])
def test_masked_on_the_right_is_the_row_alone(padding):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [layers.Embedding(20, 4, mask_zero=True), layers.LSTM(6, bias_initializer="normal")]
    )
    row = np.array([[7, 3, 9, 4]], "int32")
    alone = ops.convert_to_numpy(model(row))
    padded = np.concatenate([np.pad(row, ((0, 0), (0, padding))), np.ones((1, 4 + padding), int)])
    np.testing.assert_allclose(ops.convert_to_numpy(model(padded))[0], alone[0], atol=1e-7)
    table, *weights = model.get_weights()
    np.testing.assert_allclose(alone[0], lstm(table[row[0]], *weights)[0][-1], atol=1e-6)


@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_causal_convolution_is_a_hidden_layer_over_each_window(width):
    keras.utils.set_random_seed(width)
    convolution = layers.Conv1D(5, width, padding="causal", activation="relu")
    vectors = np.random.default_rng(0).normal(size=(1, 12, 4)).astype("float32")
    found = ops.convert_to_numpy(convolution(vectors))[0]
    kernel, bias = convolution.get_weights()
    padded = np.pad(vectors[0], ((width - 1, 0), (0, 0)))
    for place in range(12):
        window = padded[place : place + width].ravel()  # the last `width` vectors
        hidden = np.maximum(window @ kernel.reshape(-1, 5) + bias, 0)
        np.testing.assert_allclose(found[place], hidden, atol=1e-6)
