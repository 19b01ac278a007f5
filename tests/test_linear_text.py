"""utils.linear_text: words found, order seen, penalties chosen on the rows meant for it."""

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from utils.linear_text import LINEAR, as_text, fit_linear
from utils.naive_bayes import NaiveBayesLogisticRegression

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
    ids, labels = rng.integers(1, 40, (120, 12)), rng.integers(0, 2, 120)  # nothing to learn
    new, said = rng.integers(1, 40, (301, 12)), rng.integers(0, 2, 301)
    strengths = LINEAR["bag of words"][1]

    def presence(rows):
        return np.array([[(row == word).any() for word in range(1, 40)] for row in rows], float)

    fits = [LogisticRegression(C=C, max_iter=500).fit(presence(ids), labels) for C in strengths]
    scores = np.array([model.score(presence(new), said) for model in fits])
    assert scores.argmax() != scores.argmin()  # else this could not tell
    for answers, expected in ((said, scores.argmax()), (1 - said, scores.argmin())):
        model = fit_linear("bag of words", (ids, labels), (new, answers))
        assert strengths[expected] == model.classifier.C


LONGEST = {"bag of words": 1, "TF-IDF, pairs": 2, "naive Bayes, triples": 3}


def ngrams(row, longest):
    """All n-grams of a row of ids, with repeats."""
    words = [str(id) for id in row if id]
    return [
        " ".join(words[i : i + n]) for n in range(1, longest + 1) for i in range(len(words) - n + 1)
    ]


@cache
def fitted(name):
    """A model, and the rows it was fitted on: few words, so that triples occur twice."""
    rng = np.random.default_rng(4)
    ids = rng.integers(0, 9, (60, 10)).astype("int32")
    ids[0, :4] = [90, 91, 92, 93]  # in one training row only
    ids[1:3, :3] = [80, 81, 82]  # in two
    new = rng.integers(0, 9, (20, 10)).astype("int32")
    new[:, :4] = [70, 71, 72, 73]  # in all validation rows, and in no training row
    labels = rng.integers(0, 2, 60)
    return fit_linear(name, (ids, labels), (new, rng.integers(0, 2, 20))), ids, labels


@pytest.mark.parametrize("name", LINEAR)
def test_knows_the_ngrams_of_the_training_rows_and_no_others(name):
    model, ids, _ = fitted(name)
    rows_with = Counter(ngram for row in ids for ngram in set(ngrams(row, LONGEST[name])))
    least = 1 if name == "bag of words" else 2
    expected = {ngram for ngram, rows in rows_with.items() if rows >= least}
    assert set(model.vectorizer.vocabulary_) == expected
    assert {"80 81 82", "80 81", "80"} & expected == {
        ngram for ngram in ("80", "80 81", "80 81 82") if len(ngram.split()) <= LONGEST[name]
    }
    assert ("90" in expected) == (name == "bag of words")


def test_tf_idf_by_hand():
    model, ids, _ = fitted("TF-IDF, pairs")
    row = np.array([80, 80, 80, 3, 5, 999])
    rows_with = Counter(ngram for other in ids for ngram in set(ngrams(other, 2)))
    weights = {
        ngram: (1 + np.log(times)) * (1 + np.log((1 + 60) / (1 + rows_with[ngram])))
        for ngram, times in Counter(ngrams(row, 2)).items()
        if rows_with[ngram] >= 2
    }
    length = np.sqrt(sum(weight**2 for weight in weights.values()))
    found = model.vectorizer.transform(as_text(row[None])).toarray()[0]
    assert len(weights) >= 3 and np.count_nonzero(found) == len(weights)
    for ngram, weight in weights.items():
        column = model.vectorizer.vocabulary_[ngram]
        assert found[column] == pytest.approx(weight / length, rel=1e-12)


@pytest.mark.parametrize("name", ["bag of words", "naive Bayes, triples"])
def test_counts_presence_only(name):
    found = fitted(name)[0].vectorizer.transform(["80 80 80"]).toarray()
    assert set(np.unique(found)) == {0, 1}


def test_triples_are_weighted_by_naive_bayes_and_the_others_are_not():
    kinds = [type(fitted(name)[0].classifier) for name in LONGEST]
    assert kinds == [LogisticRegression, LogisticRegression, NaiveBayesLogisticRegression]
    model, ids, labels = fitted("naive Bayes, triples")
    known = model.vectorizer.transform(as_text(ids)).toarray()
    totals = [known[labels == label].sum(axis=0) + 1.0 for label in (1, 0)]
    ratio = np.log((totals[0] / totals[0].sum()) / (totals[1] / totals[1].sum()))
    plain = LogisticRegression(C=model.classifier.C, max_iter=500).fit(known * ratio, labels)
    np.testing.assert_allclose(
        model.probabilities(ids), plain.predict_proba(known * ratio)[:, 1], atol=2e-3
    )


def test_a_column_of_labels_is_a_row_of_them():
    rng = np.random.default_rng(0)
    train, validation, test = (reviews_of(rng, n) for n in (200, 60, 100))
    columns = [(ids, labels[:, None]) for ids, labels in (train, validation, test)]
    model, same = (
        fit_linear("bag of words", *columns[:2]),
        fit_linear("bag of words", train, validation),
    )
    np.testing.assert_array_equal(model.probabilities(test[0]), same.probabilities(test[0]))
    right = np.mean((same.probabilities(test[0]) > 0.5) == test[1])
    assert model.score(*columns[2]) == model.score(*test) == right > 0.9


def test_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="'bags' is not one of bag of words, TF-IDF"):
        fit_linear("bags", None, None)


IDS = np.array([[0, 3, 4], [5, 3, 0]])


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        (IDS.astype("float64"), r"float64 ids of shape (2, 3)"),
        (IDS.astype("float32"), r"float32 ids of shape (2, 3)"),
        (np.where(IDS == 3, np.nan, IDS), r"float64 ids"),
        (IDS > 0, r"bool ids"),
        (IDS.astype(str), r"ids of shape (2, 3)"),
        (-IDS, r"the least -5"),
        (IDS[0], r"ids of shape (3,), the least 0; a matrix"),
        (IDS[0].tolist(), r"x[None]"),
        (IDS[None], r"(1, 2, 3)"),
    ],
)
def test_refuses_what_is_no_matrix_of_ids(ids, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        as_text(ids)
    with pytest.raises(ValueError, match=re.escape(says)):
        fitted("bag of words")[0].probabilities(ids)
    with pytest.raises(ValueError, match=re.escape(says)):
        fitted("bag of words")[0].score(ids, np.zeros(len(ids), int))


LABELS = np.array([0, 1, 1, 0])


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (2 * LABELS - 1, "labels such as .*-1"),
        (LABELS + 1, "labels such as .*2"),
        (np.array([0, 1, 2, 0]), "labels such as .*2"),
        (np.where(LABELS, 1, np.nan), "labels such as .*nan"),
        (np.array(["neg", "pos"])[LABELS], "'neg'"),
        (LABELS.astype(str), "'0'"),
        (LABELS.astype(object), "object"),
        (LABELS[:1], "4 .* rows with 1 labels"),
        (LABELS[:, None, None], r"of shape \(4, 1, 1\)"),
        (LABELS[None], r"of shape \(1, 4\)"),
        (1, r"of shape \(\)"),
    ],
)
@pytest.mark.parametrize("where", ["training", "validation", "scored"])
def test_refuses_labels_other_than_0_and_1(labels, says, where):
    ids = np.array([[1, 2], [3, 2], [3, 1], [1, 1]])
    model = fit_linear("bag of words", (ids, LABELS), (ids, LABELS))
    parts = [labels if part == where else LABELS for part in ("training", "validation")]
    with pytest.raises(ValueError, match=f"(?s){says}") as error:
        if where == "scored":
            model.score(ids, labels)
        else:
            fit_linear("bag of words", *((ids, part) for part in parts))
    assert where in str(error.value)


@pytest.mark.parametrize("where", ["training", "validation", "scored"])
def test_needs_rows(where):
    ids = np.array([[1, 2], [3, 2], [3, 1], [1, 1]])
    rows = {part: slice(0 if part == where else 4) for part in ("training", "validation", "scored")}
    with pytest.raises(ValueError, match=f"Received 0 {where} rows with 0 labels"):
        model = fit_linear(
            "bag of words", *((ids[rows[p]], LABELS[rows[p]]) for p in ("training", "validation"))
        )
        model.score(ids[rows["scored"]], LABELS[rows["scored"]])
