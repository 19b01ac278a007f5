"""Streams, carried state and sampling, against one long pass and against arithmetic."""

import keras
import numpy as np
import pytest
from keras import layers

from utils.recurrent import (
    CarryState,
    ResetStates,
    generate,
    log_probabilities,
    narrowed,
    reset_states,
    stateful_copy,
    step_by_step,
    streams,
    windows,
)

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

KINDS = [layers.SimpleRNN, layers.GRU, layers.LSTM]


def a_text(n=121, kinds=7, seed=0):
    return np.random.default_rng(seed).integers(0, kinds, n)


def a_model(kind=layers.LSTM, batch_shape=(None, None), carry=False, depth=1):
    wrap = CarryState if carry else lambda layer: layer
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(batch_shape=batch_shape, dtype="int32"),
            layers.Embedding(7, 5, embeddings_initializer="glorot_uniform"),
            *[wrap(kind(6, return_sequences=True)) for _ in range(depth)],
            layers.Dense(7, activation="softmax"),
        ]
    )
    return model


# ---- rows of text ----


@hypothesis.given(st.integers(2, 50), st.integers(1, 9), st.integers(1, 9))
def test_windows_by_slicing(n, length, stride):
    ids = np.arange(n) + 100
    hypothesis.assume(n > length)
    x, y = windows(ids, length, stride=stride)
    x_all, y_all = windows(ids, length, stride=stride, every_step=True)
    starts = range(0, n - length, stride)
    np.testing.assert_array_equal(x, [ids[s : s + length] for s in starts])
    np.testing.assert_array_equal(y, [ids[s + length] for s in starts])
    np.testing.assert_array_equal(x_all, x)
    np.testing.assert_array_equal(y_all, [ids[s + 1 : s + length + 1] for s in starts])
    assert x.dtype == y.dtype == np.int32


@hypothesis.given(st.integers(1, 6), st.integers(1, 7), st.integers(0, 100))
def test_streams_go_on_where_they_ended(batch_size, length, more):
    ids = np.arange(batch_size * length + 1 + more)
    x, y = streams(ids, batch_size, length)
    np.testing.assert_array_equal(y, x + 1)
    batches = x.reshape(-1, batch_size, length)
    assert (batches[1:, :, 0] == batches[:-1, :, -1] + 1).all()
    read = np.concatenate(list(batches), axis=1)  # (streams, steps)
    np.testing.assert_array_equal(np.sort(read, axis=None), np.arange(read.size))
    assert len(ids) - 1 - read.size < batch_size * length


# ---- a state that is carried on ----


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_with_carried_state_equal_one_long_pass(kind):
    model, ids = a_model(kind, depth=2 if kind is layers.LSTM else 1), a_text()
    whole = keras.ops.convert_to_numpy(model(ids[None, :-1]))[0]
    expected = np.log(whole[np.arange(120), ids[1:]])
    np.testing.assert_allclose(
        log_probabilities(model, ids, batch_size=1, length=20), expected, atol=1e-5
    )
    if kind is layers.LSTM:  # it matters not for the context
        found = log_probabilities(model, ids[61:], batch_size=1, length=20, context=ids[:61])
        np.testing.assert_allclose(found, expected[60:], atol=1e-5)


def test_parallel_streams_start_from_nothing():
    model, ids = a_model(), a_text()
    x, y = ids[:-1].reshape(4, 30), ids[1:].reshape(4, 30)
    p = keras.ops.convert_to_numpy(model(x))
    expected = np.log(np.take_along_axis(p, y[..., None], axis=2)).ravel()
    found = log_probabilities(model, ids, batch_size=4, length=10)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_training_carries_the_state_and_an_epoch_starts_empty():
    """Learning rate 0: the loss of an epoch is that of one pass over the streams, twice alike."""
    model, ids = a_model(batch_shape=(4, 10), carry=True), a_text()
    model.compile(
        keras.optimizers.SGD(0.0),
        "sparse_categorical_crossentropy",
        jit_compile=keras.backend.backend() == "jax",
    )
    x, y = streams(ids, 4, 10)
    fit = {"batch_size": 4, "shuffle": False, "verbose": 0, "callbacks": [ResetStates()]}
    history = model.fit(x, y, epochs=2, validation_data=(x, y), validation_batch_size=4, **fit)
    expected = -log_probabilities(model, ids, batch_size=4, length=30).mean()
    for losses in history.history.values():
        np.testing.assert_allclose(losses, expected, atol=1e-5)
    without = model.fit(x, y, epochs=1, batch_size=4, shuffle=False, verbose=0).history["loss"]
    again = model.fit(x, y, epochs=1, batch_size=4, shuffle=False, verbose=0).history["loss"]
    assert abs(again[0] - expected) > 1e-6 or abs(without[0] - expected) > 1e-6


def test_reset():
    model = stateful_copy(a_model(), 1, 5)
    x = a_text(5)[None]
    first, second = model.predict_on_batch(x), model.predict_on_batch(x)
    reset_states(model)
    np.testing.assert_allclose(model.predict_on_batch(x), first, atol=1e-7)
    assert np.abs(second - first).max() > 1e-4


def test_rows_that_do_not_fill_a_batch_are_refused():
    model = a_model(batch_shape=(4, 5), carry=True)
    x = streams(a_text(), 4, 5)[0]
    with pytest.raises(Exception, match=r"(?s)rows|shape|state"):  # while traced, by the backend
        model.predict(x[:5], batch_size=4, verbose=0)  # one row was spread over four
    layer = CarryState(layers.GRU(3, return_sequences=True))
    layer.build((4, 5, 2))
    with pytest.raises(ValueError, match="Received 1 rows; this layer carries the state of 4"):
        layer(np.zeros((1, 5, 2), "float32"))


def test_reset_reaches_models_within_and_spares_what_has_no_state():
    inner = keras.Sequential(
        [
            keras.Input(batch_shape=(1, 5, 3)),
            CarryState(layers.LSTM(2, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        ]
    )
    outer = keras.Sequential([keras.Input(batch_shape=(1, 5, 3)), inner])
    x = np.random.default_rng(0).normal(size=(1, 5, 3)).astype("float32")
    first, second = outer.predict_on_batch(x), outer.predict_on_batch(x)
    reset_states(outer)
    np.testing.assert_allclose(outer.predict_on_batch(x), first, atol=1e-7)
    assert np.abs(second - first).max() > 1e-4


def test_generating_twice_draws_the_same():
    read = step_by_step(a_model())
    first, second = (generate(read, [1, 2, 3], 20, seed=4).tolist() for _ in range(2))
    assert first == second


def test_a_carried_layer_is_copied_and_saved(tmp_path):
    model, ids = a_model(batch_shape=(4, 10), carry=True), a_text()
    expected = log_probabilities(model, ids, batch_size=2, length=15)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(
        tmp_path / "model.keras", custom_objects={"CarryState": CarryState}
    )
    found = log_probabilities(loaded, ids, batch_size=2, length=15)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_mask_is_passed_on():
    """What is masked at the end of a row leaves the state where it was."""
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(7, 5, mask_zero=True),
            layers.GRU(6, return_sequences=True),
        ]
    )
    copy = stateful_copy(plain, 1, 4)
    copy.predict_on_batch(np.array([[3, 5, 0, 0]]))
    found = copy.predict_on_batch(np.array([[2, 6, 1, 0]]))
    expected = keras.ops.convert_to_numpy(plain(np.array([[3, 5, 2, 6, 1]])))
    np.testing.assert_allclose(found[0, :3], expected[0, 2:], atol=1e-6)


# ---- sampling ----


def test_narrowed_by_hand():
    p = [0.5, 0.3, 0.15, 0.05]
    np.testing.assert_allclose(narrowed(p), p)
    np.testing.assert_allclose(narrowed(p, temperature=0), [1, 0, 0, 0])
    squares = np.square(p)
    np.testing.assert_allclose(narrowed(p, temperature=0.5), squares / squares.sum())
    np.testing.assert_allclose(narrowed(p, nucleus=0.7), [0.625, 0.375, 0, 0])
    np.testing.assert_allclose(narrowed(p, nucleus=0.81), np.array([50, 30, 15, 0]) / 95)
    np.testing.assert_allclose(narrowed(p, nucleus=0.01), [1, 0, 0, 0])
    assert narrowed([0.5, 0, 0.5], temperature=100)[1] == 0


@hypothesis.given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.floats(0.05, 20),
    st.floats(0.01, 1),
)
def test_narrowed_is_a_distribution_in_the_old_order(weights, temperature, nucleus):
    hypothesis.assume(sum(weights) > 1e-6)
    p = np.array(weights) / sum(weights)
    q = narrowed(p, temperature=temperature, nucleus=nucleus)
    assert np.isclose(q.sum(), 1) and (q >= 0).all() and q[p.argmax()] > 0
    assert (np.diff(q[np.argsort(p)]) >= -1e-12).all() or len(set(p)) < len(p)
    assert ((p > 0) | (q == 0)).all()


@hypothesis.given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(1, 99))
def test_the_nucleus_is_as_small_as_can_be(weights, percent):
    total = sum(weights)  # in whole numbers nothing is rounded
    likeliest, held, expected = sorted(weights, reverse=True), 0, 0
    while 100 * held < percent * total:
        held += likeliest[expected]
        expected += 1
    kept = narrowed(np.array(weights) / total, nucleus=percent / 100) > 0
    assert kept.sum() == expected


def test_without_a_nucleus_nothing_is_cut_off():
    assert (narrowed([1 - 2e-17, 1e-17, 1e-17]) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"temperature": -1}, "temperature=-1"),
        ({"nucleus": 0}, "nucleus=0"),
        ({"nucleus": 1.1}, "nucleus=1.1"),
        ({"probabilities": [0.5, 0.4]}, "one distribution"),
        ({"probabilities": [[1.0]]}, "one distribution"),
    ],
)
def test_narrowed_refuses(arguments, what):
    with pytest.raises(ValueError, match=what):
        narrowed(**{"probabilities": [0.5, 0.5]} | arguments)


def test_generating_reads_what_it_wrote():
    model = a_model()
    prompt = np.array([1, 2, 3])
    read = step_by_step(model)
    drawn = generate(read, prompt, 20, temperature=0)
    whole = np.concatenate([prompt, drawn])
    p = keras.ops.convert_to_numpy(model(whole[None, :-1]))[0, 2:]
    likeliest = p[np.arange(20), drawn]  # greedy: each the likeliest after all before it
    np.testing.assert_allclose(likeliest, p.max(axis=1), atol=1e-6)


def test_draws_follow_the_distribution_and_stop():
    p = np.array([0.6, 0.3, 0.1])
    drawn = generate(lambda ids: p, [0], 3000, seed=0)
    np.testing.assert_allclose(np.bincount(drawn) / 3000, p, atol=0.03)
    again = [generate(lambda ids: p, [0], 30, seed=seed).tolist() for seed in (0, 1)]
    assert again[0] == drawn[:30].tolist() != again[1]
    stopped = generate(lambda ids: p, [0], 3000, seed=0, stop=2)
    assert stopped[-1] == 2 and (stopped[:-1] != 2).all()


# ---- refusals ----


def no_softmax():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(7, 5),
            layers.LSTM(4, return_sequences=True),
            layers.Dense(7, bias_initializer="ones"),
        ]
    )


def both_ways():
    lstm = layers.LSTM(2, return_sequences=True)
    return keras.Sequential([keras.Input((None, 3)), layers.Bidirectional(lstm), lstm])


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: windows([1, 2], 2), "3 of them or more"),
        (lambda: windows(a_text(), 2, stride=0), "stride=0"),
        (lambda: streams(a_text(), 0, 5), "batch_size=0"),
        (lambda: streams(a_text(11), 4, 3), "13 of them or more"),
        (lambda: streams(a_text() / 2, 2, 3), "float64"),
        (lambda: CarryState(layers.Dense(3)), "no recurrent layer"),
        (lambda: CarryState(layers.GRU(3)), "return_sequences=True"),
        (lambda: a_model(carry=True), r"batch size must be fixed"),
        (lambda: stateful_copy(keras.Sequential([keras.Input((2,))]), 1), "no recurrent layer"),
        (lambda: log_probabilities(a_model(), a_text(), context=[1]), "needs batch_size=1"),
        (lambda: generate(lambda ids: [1.0], [], 1), "1 of them or more"),
        (lambda: windows([1, -1, 2], 1), "from -1 to 2"),
        (lambda: windows([1, 2**32, 2], 1), "from 1 to 4294967296"),
        (lambda: log_probabilities(a_model(), [7] * 30, length=1), "ids from 0 to 6"),
        (lambda: step_by_step(a_model())([-1]), "from -1 to -1"),
        (
            lambda: log_probabilities(
                a_model(), a_text(30), batch_size=1, length=100, context=a_text(150)
            ),
            "of 30 tokens after 150 of context none would be scored",
        ),
        (lambda: log_probabilities(no_softmax(), a_text(), length=5), "with a softmax"),
        (lambda: CarryState(layers.GRU(3, return_sequences=True, go_backwards=True)), "backwards"),
        (lambda: stateful_copy(both_ways(), 1), "is a Bidirectional: its state cannot be carried"),
    ],
)
def test_bad_arguments(call, what):
    with pytest.raises(ValueError, match=what):
        call()
