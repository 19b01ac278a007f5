import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from utils.linear_text import LINEAR, as_text, fit_linear

pytestmark = pytest.mark.backend_free


def reviews_of(rng, n, order=False):
    """Rows of ids padded in front, and labels: word 3 tells, or only whether 4 follows 5."""
    labels = rng.integers(0, 2, n)
    ids = np.zeros((n, 12), "int32")
    ids[:, 4:] = rng.integers(6, 30, (n, 8))
    if order:
        ids[:, 7:9] = np.where(labels[:, None] == 1, [4, 5], [5, 4])
    else:
        ids[labels == 1, 7] = 3
    return ids, labels


def test_writes_ids_without_padding():
    assert as_text(np.array([[0, 0, 12, 7], [0, 0, 0, 0]])) == ["12 7", ""]


@pytest.mark.parametrize("name", LINEAR)
def test_finds_the_word_that_tells(name):
    rng = np.random.default_rng(0)
    model = fit_linear(name, reviews_of(rng, 400), reviews_of(rng, 100))
    assert model.score(*reviews_of(rng, 300)) > 0.97


@pytest.mark.parametrize("name", LINEAR)
def test_only_longer_ngrams_see_order(name):
    rng = np.random.default_rng(1)
    model = fit_linear(name, reviews_of(rng, 400, order=True), reviews_of(rng, 100, order=True))
    right = model.score(*reviews_of(rng, 400, order=True))
    if LINEAR[name][0] == 1:
        assert right == pytest.approx(0.5, abs=0.08)  # 3 standard errors
    else:
        assert right > 0.97


def test_bag_of_words_is_logistic_regression_on_presence():
    rng = np.random.default_rng(2)
    train, validation = reviews_of(rng, 300), reviews_of(rng, 60)
    model = fit_linear("bag of words", train, validation)

    def presence(ids):  # an oracle without a vectorizer
        return np.array([[(row == word).any() for word in range(1, 30)] for row in ids], float)

    oracle = LogisticRegression(C=model.classifier.C, max_iter=500)
    oracle.fit(presence(train[0]), train[1])
    expected = oracle.predict_proba(presence(validation[0]))[:, 1]
    np.testing.assert_allclose(model.probabilities(validation[0]), expected, atol=2e-3)


def test_chooses_the_penalty_on_the_validation_rows():
    rng = np.random.default_rng(3)
    train, validation = reviews_of(rng, 200, order=True), reviews_of(rng, 200, order=True)
    model = fit_linear("bag of words", train, validation)
    assert model.classifier.C in LINEAR["bag of words"][1]
    others = [fit_linear("bag of words", train, (validation[0], labels)) for labels in (
        validation[1], 1 - validation[1])]  # fmt: skip
    assert others[0].score(*validation) == model.score(*validation)


def test_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="'bags' is not one of bag of words, TF-IDF"):
        fit_linear("bags", None, None)
