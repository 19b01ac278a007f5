"""The pieces that notebook 14 builds for itself: batches of like length, mixtures of readers."""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

(SOURCE,) = (Path(__file__).parents[1] / "notebooks" / "src").glob("14_*.py")


@pytest.fixture(scope="module")
def notebook():
    """Return the notebook's functions that need nothing but NumPy."""
    names = {"in_batches", "log_odds", "mix", "paired"}
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    space = {"np": np, "columns": 5}
    exec(compile(ast.Module(found, []), str(SOURCE), "exec"), space)
    return {name: space[name] for name in names}


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=300),
    size=st.integers(1, 9),
    seed=st.integers(0, 9) | st.none(),
)
def test_batches_hold_every_review_once_and_every_word(notebook, lengths, size, seed):
    ids = np.zeros((len(lengths), 20), "int32")
    for row, words in zip(ids, lengths, strict=True):
        row[20 - words :] = np.arange(1, words + 1)
    shuffle = None if seed is None else np.random.default_rng(seed)
    rows = np.arange(len(ids))[::2]
    batches = list(notebook["in_batches"](ids, rows, size, shuffle))
    assert sorted(np.concatenate([batch for batch, _ in batches])) == rows.tolist()
    for batch, part in batches:
        assert len(batch) == len(part) <= size and part.shape[1] % 5 == 0
        assert part.shape[1] - max(np.array(lengths)[batch]) < 5  # no more than it takes
        left = ids.shape[1] - part.shape[1]
        np.testing.assert_array_equal(np.pad(part, ((0, 0), (left, 0))), ids[batch])


def test_batches_are_drawn_anew_but_the_same_from_the_same_seed(notebook):
    lengths = np.random.default_rng(0).integers(1, 21, 400)
    ids = (np.arange(20) >= 20 - lengths[:, None]).astype("int32")

    def drawn(shuffle):
        return [
            batch.tolist() for batch, _ in notebook["in_batches"](ids, np.arange(400), 4, shuffle)
        ]

    one = np.random.default_rng(1)
    first, second = drawn(one), drawn(one)
    assert first != second
    assert first == drawn(np.random.default_rng(1))


def test_a_mixture_adds_log_odds(notebook):
    p, q, r = np.random.default_rng(0).uniform(0.01, 0.99, (3, 50))
    mix = notebook["mix"]
    np.testing.assert_allclose(mix([p], r, 0), p, rtol=1e-9)
    expected = expit((logit(p) + logit(q)) / 2 + 0.75 * logit(r))
    np.testing.assert_allclose(mix([p, q], r, 0.75), expected, rtol=1e-9)
    assert np.isfinite(mix([np.array([0.0, 1.0])], np.array([1.0, 0.0]), 1)).all()


def test_the_paired_interval_is_that_of_the_mean_difference(notebook):
    rng = np.random.default_rng(0)
    p, q, labels = rng.random(400), rng.random(400), rng.integers(0, 2, 400)
    difference, half = notebook["paired"](p, q, labels)
    a, b = ((x > 0.5) == labels for x in (p, q))
    assert difference == pytest.approx(a.mean() - b.mean())
    n, m = (a & ~b).mean(), (b & ~a).mean()  # only the first right, only the second
    assert half == pytest.approx(1.96 * np.sqrt((n + m - (n - m) ** 2) / 400))
