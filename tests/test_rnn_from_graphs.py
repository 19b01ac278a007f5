"""Notebook 15: the loop, the unrolled graph and NumPy are one function; its gradients are right."""

import ast
import functools
import itertools
import re
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from utils.datasets import load_markup

SOURCE = Path(__file__).parent.parent / "notebooks" / "src" / "15_rnn_from_graphs.py"
KINDS, UNITS = 11, 6


def from_notebook(*names, **given):
    """Return the namespace of some of the notebook's functions, run without its other cells."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    wanted = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    assert {n.name for n in wanted} == set(names)
    space = {"keras": keras, "layers": layers, "np": np, "re": re, "partial": functools.partial}
    space |= given
    exec(compile(ast.Module(wanted, []), SOURCE.name, "exec"), space)
    return types.SimpleNamespace(**space)


def uncompiled(model, learning_rate=None):
    return model


def in_15(*names, **given):
    return from_notebook(*names, **{"compiled": uncompiled} | given)


def randomised(model, seed=0):
    """Give every weight, biases too, a value that matters."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def three_ways():
    notebook = in_15("unrolled_model", "looped_model", "loop_weights", "numpy_loop")
    unrolled = randomised(notebook.unrolled_model(KINDS, UNITS, factors=5))
    looped = notebook.looped_model(KINDS, UNITS, factors=5)
    looped.set_weights(notebook.loop_weights(unrolled))
    x = np.random.default_rng(1).integers(0, KINDS, (20, 8)).astype("int32")
    return unrolled, looped, notebook.numpy_loop, x


def test_unrolled_graph_simple_rnn_and_numpy_agree(three_ways):
    unrolled, looped, numpy_loop, x = three_ways
    by_graph, by_loop = (keras.ops.convert_to_numpy(model(x)) for model in (unrolled, looped))
    by_hand, states = numpy_loop(looped.get_weights(), x)
    np.testing.assert_allclose(by_loop, by_graph, atol=1e-6)
    np.testing.assert_allclose(by_hand, by_loop, atol=1e-6)
    assert states.shape == (8, 20, UNITS) and (states >= 0).all() and by_hand.std() > 0.01
    one_by_one = np.concatenate([numpy_loop(looped.get_weights(), row[None])[0] for row in x])
    np.testing.assert_allclose(one_by_one, by_hand, atol=1e-6)


def test_a_loop_reads_any_length(three_ways):
    _, looped, numpy_loop, _ = three_ways
    for length in (1, 3, 30):
        x = np.random.default_rng(length).integers(0, KINDS, (4, length)).astype("int32")
        by_loop = keras.ops.convert_to_numpy(looped(x))
        np.testing.assert_allclose(numpy_loop(looped.get_weights(), x)[0], by_loop, atol=1e-6)


def test_they_learn_alike(three_ways):
    """One step of gradient descent with a loss of one's own moves the same weights equally."""
    notebook = in_15("loop_weights")
    unrolled, looped, _, x = three_ways
    y = np.random.default_rng(2).integers(0, KINDS, 20)
    for model in (unrolled, looped):
        model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    before = looped.get_weights()
    for _ in range(3):
        losses = [float(model.train_on_batch(x, y)) for model in (unrolled, looped)]
        assert abs(losses[0] - losses[1]) < 1e-5
    moved = zip(notebook.loop_weights(unrolled), looped.get_weights(), before, strict=True)
    for of_unrolled, of_loop, old in moved:
        np.testing.assert_allclose(of_unrolled, of_loop, atol=1e-5)
        assert np.abs(of_loop - old).max() > 1e-3
    looped.set_weights(before)


@pytest.mark.parametrize("merge", [layers.add, layers.concatenate])
def test_the_three_word_graph_is_its_formula(merge):
    model = randomised(in_15("merged_model").merged_model(KINDS, UNITS, merge, factors=5))
    x = np.random.default_rng(1).integers(0, KINDS, (20, 3))
    vectors = next(w for layer in model.layers if isinstance(layer, layers.Embedding)
                   for w in layer.get_weights())  # fmt: skip
    (W, b), (U, c), (V, d) = (model.get_layer(n).get_weights() for n in ("in", "hidden", "out"))
    hidden = np.zeros((20, UNITS))
    for token in x.T:
        e = np.maximum(vectors[token] @ W + b, 0)
        hidden = np.tanh((e + hidden if merge is layers.add else np.hstack([e, hidden])) @ U + c)
    scores = np.exp(hidden @ V + d)
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), expected, atol=1e-6)


@pytest.mark.parametrize(("vocabulary_size", "units"), [(84, 256), (2000, 128), (53, 64)])
def test_the_rivals_have_equally_many_parameters(vocabulary_size, units):
    names = ("equal_parameters", "merged_model", "at_once_model", "two_layer_model")
    builders = in_15(*names).equal_parameters(vocabulary_size, units)
    counts = [build().count_params() for build in builders.values()]
    assert len(counts) == 4
    np.testing.assert_allclose(counts, counts[0], rtol=0.02)


@pytest.mark.parametrize("kind", ["relu", "tanh"])
def test_the_gradient_through_time_by_finite_differences(kind):
    """The norm of a vector times the product of all Jacobians, each by central differences."""
    gradient_norms = in_15("gradient_norms").gradient_norms
    rng = np.random.default_rng(3)
    U, inputs = rng.normal(0, 0.5, (4, 4)), rng.normal(0.3, 1, (6, 4))
    functions = {
        "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0) * 1.0),
        "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    }[kind]

    def last(state, first):
        for below in inputs[first:]:
            state = functions[0](below + state @ U)
        return state

    states = [np.zeros(4)]
    for below in inputs:
        states.append(functions[0](below + states[-1] @ U))
    direction = np.random.default_rng(0).normal(size=4)
    norms = []
    for back in range(6):
        first, h = 6 - back, 1e-6
        jacobian = np.array([
            (last(states[first] + h * e, first) - last(states[first] - h * e, first)) / (2 * h)
            for e in np.eye(4)
        ])  # fmt: skip
        norms.append(np.linalg.norm(jacobian @ direction))
    found = gradient_norms(U, inputs, *functions)
    np.testing.assert_allclose(found, np.array(norms) / norms[0], rtol=1e-6)


def test_the_identity_keeps_a_gradient_as_it_is():
    gradient_norms = in_15("gradient_norms").gradient_norms
    linear = (lambda a: a, lambda a: np.ones_like(a))
    inputs = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(gradient_norms(np.eye(3), inputs, *linear), 1)
    np.testing.assert_allclose(gradient_norms(0.9 * np.eye(3), inputs, *linear)[-1], 0.9**49)


@pytest.mark.parametrize("width", [8, 16, 40])
def test_the_window_reader_is_as_good_as_a_window_allows(width):
    markup = load_markup(1500, depth=[1, 2, 3, 4], seed=5)
    read_window = in_15("read_window", markup=markup).read_window
    rng = np.random.default_rng(0)
    answers = [read_window(markup.decode(ids[ids > 0]), rng) for ids in markup.windows(width)]
    right = np.array(answers) == markup.name
    inside = markup.distance <= width
    # "b>" at the window's edge may be a closing tag's, so what is in sight is not always certain
    assert right[markup.distance < width - 2].all() and right[inside].mean() > 0.9
    n = (~inside).sum()
    assert abs(right[~inside].mean() - 1 / 6) < 4 * np.sqrt(5 / 36 / n)


def test_notes_mean_the_same_in_any_order():
    orders = np.array(list(itertools.permutations(range(4))))
    meanings = np.array([m for m in itertools.product(range(6), repeat=4) if m[0] != m[1]])
    space = in_15("say", "notes", orders=orders, meanings=meanings, statements=500)
    words = space.say(meanings[[7, 7]], orders[[0, 13]])
    assert sorted(words[0]) == sorted(words[1]) and words[0].tolist() != words[1].tolist()

    def meant(row):
        phrases = dict(zip(row[::2].tolist(), row[1::2].tolist(), strict=True))
        return [phrases[0] - 4, phrases[1] - 4, phrases[2] - 10, phrases[3] - 16]

    (x, y), (x_new, y_new) = space.notes(5, seed=1)
    assert [meant(row) for row in np.vstack([x, x_new])] == np.vstack([y, y_new]).tolist()
    seen, unseen = ({tuple(row[::2]) for row in rows} for rows in (x, x_new))
    assert len(seen) == 5 and not seen & unseen
    assert np.unique(y[:, 0]).size == 6
