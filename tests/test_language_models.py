"""N-grams against the definition of Kneser-Ney smoothing, written out with dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from utils.language_models import NGramModel, bits, perplexity

pytestmark = pytest.mark.backend_free

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")


def kneser_ney(ids, order, vocabulary_size, discounts):
    """Return p(token, context) by Chen and Goodman's equation 26, one dictionary an order."""
    grams = {k: Counter(tuple(ids[i : i + k]) for i in range(len(ids) - k + 1))
             for k in range(1, order + 1)}  # fmt: skip
    counts = {order: grams[order]}
    for k in range(1, order):
        lefts = defaultdict(set)
        for gram in grams[k + 1]:
            lefts[gram[1:]].add(gram[0])
        # the text's first gram has nothing before it; it counts as met once
        counts[k] = {gram: max(1, len(lefts[gram])) for gram in grams[k]}

    def p(token, context):
        if len(context) == 0:
            lower, context = 1 / vocabulary_size, ()
        else:
            lower = p(token, context[1:])
        own = {g[-1]: c for g, c in counts[len(context) + 1].items() if g[:-1] == context}
        if not own:
            return lower
        taken = [discounts[len(context)][min(c, 3) - 1] for c in own.values()]
        c = own.get(token, 0)
        kept = c - discounts[len(context)][min(c, 3) - 1] if c else 0
        return (kept + sum(taken) * lower) / sum(own.values())

    return p


texts = st.lists(st.integers(0, 3), min_size=5, max_size=60)


@hypothesis.given(texts, st.integers(1, 4), st.lists(st.integers(0, 3), max_size=6))
def test_equals_the_definition(ids, order, context):
    model = NGramModel(order, 5).fit(ids)  # id 4 never occurs
    p = kneser_ney(ids, order, 5, model.discounts_)
    expected = [p(token, tuple(context[max(0, len(context) - order + 1) :])) for token in range(5)]
    np.testing.assert_allclose(model.probabilities(context), expected, rtol=1e-12)


@hypothesis.given(texts, st.integers(1, 5), texts, st.lists(st.integers(0, 3), max_size=6))
def test_a_row_of_tokens_is_scored_as_one_by_one(ids, order, held_out, context):
    model = NGramModel(order, 4).fit(ids)
    found = model.log_probabilities(held_out, context)
    whole = context + held_out
    for i, token in enumerate(held_out, start=len(context)):
        assert np.isclose(np.exp(found[i - len(context)]), model.probabilities(whole[:i])[token])


@hypothesis.given(texts, st.integers(1, 5), st.lists(st.integers(0, 3), max_size=6))
def test_probabilities_sum_to_one_and_none_is_zero(ids, order, context):
    p = NGramModel(order, 6).fit(ids).probabilities(context)
    assert np.isclose(p.sum(), 1) and (p > 0).all()


def test_the_discounts_are_chen_and_goodmans():
    """By hand: 10 tokens met once, 5 twice, 3 thrice, 2 four times, 1 of nine."""
    counts = [1] * 10 + [2] * 5 + [3] * 3 + [4] * 2 + [9]
    ids = np.repeat(np.arange(len(counts)), counts)
    model = NGramModel(1, 30).fit(ids)
    y = 10 / (10 + 2 * 5)
    expected = [1 - 2 * y * 5 / 10, 2 - 3 * y * 3 / 5, 3 - 4 * y * 2 / 3]
    np.testing.assert_allclose(model.discounts_[0], expected)
    freed = (np.array([10, 5, 6]) * expected).sum() / len(ids)
    np.testing.assert_allclose(model.probabilities()[25], freed / 30)


def test_learns_a_source_of_order_two_up_to_its_entropy():
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.full(6, 0.3), size=(6, 6))
    ids = [0, 1]
    for u in rng.random(60_000):
        ids.append(min(int(np.searchsorted(np.cumsum(table[ids[-2], ids[-1]]), u)), 5))
    ids = np.array(ids)
    surprise = -np.log2(table[ids[:-2], ids[1:-1], ids[2:]])[50_000:]
    held_out, context = ids[50_002:], ids[:50_002]
    found = {
        order: bits(NGramModel(order, 6).fit(context).log_probabilities(held_out, context))
        for order in (1, 2, 3, 5)
    }
    assert surprise.mean() < found[3] < surprise.mean() + 0.01
    assert found[1] > found[2] > found[3] < found[5] < found[3] + 0.05


def test_units():
    log_p = np.log([0.5, 0.125])
    assert bits(log_p) == 2 and np.isclose(perplexity(log_p), 4)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: bits([]), "nothing was scored"),
        (lambda: perplexity([]), "nothing was scored"),
        (lambda: NGramModel(0, 5), "order=0"),
        (lambda: NGramModel(2, True), "vocabulary_size=True"),
        (lambda: NGramModel(3, 5).fit([1, 2]), "Received 2 tokens; order 3"),
        (lambda: NGramModel(2, 5).fit([1, 5]), "from 1 to 5; one row of ids from 0 to 4"),
        (lambda: NGramModel(2, 5).fit([0.5, 1.0]), "float64"),
        (lambda: NGramModel(2, 5).probabilities(), "call fit first"),
        (lambda: NGramModel(2, 5).fit([1, 2]).log_probabilities([[1]]), "one row of ids"),
    ],
)
def test_bad_arguments(call, what):
    with pytest.raises(ValueError, match=what):
        call()
