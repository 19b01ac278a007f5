"""The pieces that notebook 14 builds for itself: batches of like length, mixtures of readers."""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import StratifiedKFold

from utils.linear_text import as_text
from utils.naive_bayes import NaiveBayesLogisticRegression

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


@pytest.fixture
def unseen():
    """Return the notebook's out-of-fold judge of the trigrams, given reviews, penalty and tools."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (found,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "unseen")
    found.decorator_list = []  # it is remembered, which is not what is tested

    def judge(ids, labels, penalty, **tools):
        space = {"np": np, "as_text": as_text, "CountVectorizer": CountVectorizer}
        space |= {"StratifiedKFold": StratifiedKFold}
        space |= {"NaiveBayesLogisticRegression": NaiveBayesLogisticRegression} | tools
        space["reviews"] = SimpleNamespace(x_train=ids, y_train=labels)
        exec(compile(ast.Module([found], []), str(SOURCE), "exec"), space)
        return space["unseen"](np.arange(len(ids)), penalty)

    return judge


def drawn(rng, n, words=400):
    """Reviews of random words with random labels: to know a label is to have seen the row."""
    return rng.integers(1, words, (n, 30)).astype("int32"), rng.integers(0, 2, n)


def test_nobody_judges_a_row_that_was_learned_from(unseen):
    ids, labels = drawn(np.random.default_rng(0), 400)
    said = unseen(ids, labels, 100.0)
    vectorizer = CountVectorizer(token_pattern=r"\S+", min_df=2, ngram_range=(1, 3), binary=True)
    known = vectorizer.fit_transform(as_text(ids))
    seen = NaiveBayesLogisticRegression(C=100.0, max_iter=500).fit(known, labels)
    assert seen.score(known, labels) > 0.99  # who has seen a row knows its label
    assert said.shape == (400,) and np.isfinite(said).all()
    assert np.mean((said > 0.5) == labels) == pytest.approx(0.5, abs=0.1)  # 4 standard errors


def test_who_judges_has_learned_from_the_other_rows(unseen):
    ids, labels = drawn(np.random.default_rng(1), 300)
    ids[labels == 1, 4] = 999
    assert np.mean((unseen(ids, labels, 1.0) > 0.5) == labels) > 0.95


def test_words_and_labels_come_from_the_rows_learned_from_only(unseen):
    ids, labels = drawn(np.random.default_rng(2), 60)
    ids[:, 0] = 1000 + np.arange(60)  # which row it is
    rows = []

    class Spy(CountVectorizer):
        def fit_transform(self, texts, y=None):
            rows.append({int(text.split()[0]) - 1000 for text in texts})
            return super().fit_transform(texts, y)

        def transform(self, texts):
            rows.append({int(text.split()[0]) - 1000 for text in texts})
            return super().transform(texts)

    unseen(ids, labels, 1.0, CountVectorizer=Spy)
    learned, judged = rows[::2], rows[1::2]
    assert sorted(row for fold in judged for row in fold) == list(range(60))  # each once
    for known, new in zip(learned, judged, strict=True):
        assert known == set(range(60)) - new
