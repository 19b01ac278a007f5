import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from utils.naive_bayes import NaiveBayesLogisticRegression, log_count_ratio

pytestmark = pytest.mark.backend_free

# three documents over the words good, bad, film: "good good film", "good film", "bad film"
COUNTS = np.array([[2, 0, 1], [1, 0, 1], [0, 1, 1]])
LABELS = np.array([1, 1, 0])


def test_ratio_by_hand():
    # totals, plus one each: positive 3, 0, 2 give 4, 1, 3 of 8; negative 0, 1, 1 give 1, 2, 2 of 5
    by_hand = np.log([(4 / 8) / (1 / 5), (1 / 8) / (2 / 5), (3 / 8) / (2 / 5)])
    np.testing.assert_allclose(log_count_ratio(COUNTS, LABELS), by_hand)
    sparse = scipy.sparse.csr_matrix(COUNTS)
    np.testing.assert_allclose(log_count_ratio(sparse, LABELS), by_hand)


def test_ratio_changes_sign_with_the_labels():
    np.testing.assert_allclose(
        log_count_ratio(COUNTS, 1 - LABELS), -log_count_ratio(COUNTS, LABELS)
    )


def test_heavy_smoothing_leaves_no_evidence():
    assert np.abs(log_count_ratio(COUNTS, LABELS, smoothing=1e6)).max() < 1e-5


def corpus(rows=300, columns=40, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    polarity = rng.normal(0, 1, columns)
    rates = np.exp(-1 + 0.5 * polarity * (2 * labels[:, None] - 1))
    return scipy.sparse.csr_matrix(rng.poisson(rates)), labels


def test_equals_logistic_regression_on_weighted_presence():
    X, y = corpus()
    present = (X.toarray() > 0).astype(float)
    ratio = log_count_ratio(present, y)
    oracle = LogisticRegression(C=0.3, max_iter=300).fit(present * ratio, y)
    model = NaiveBayesLogisticRegression(C=0.3).fit(X, y)
    np.testing.assert_allclose(
        model.decision_function(X), oracle.decision_function(present * ratio), atol=1e-6
    )
    np.testing.assert_allclose(
        model.predict_proba(X), oracle.predict_proba(present * ratio), atol=1e-6
    )
    assert (model.predict(X) == oracle.predict(present * ratio)).all()
    assert model.score(X, y) > 0.9


def test_dense_and_sparse_agree_and_labels_keep_their_names():
    X, y = corpus()
    names = np.array(["negative", "positive"])[y]
    sparse = NaiveBayesLogisticRegression().fit(X, names)
    dense = NaiveBayesLogisticRegression().fit(X.toarray(), names)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-8)
    assert set(sparse.predict(X)) == {"negative", "positive"}


def test_a_scikit_learn_estimator():
    model = clone(NaiveBayesLogisticRegression(C=2.0, smoothing=0.5))
    assert model.get_params() == {"C": 2.0, "smoothing": 0.5, "max_iter": 300}


@pytest.mark.parametrize(
    ("X", "y", "says"),
    [
        (COUNTS, [1, 1, 1], "two are needed"),
        (COUNTS, [0, 1, 2], "two are needed"),
        (-COUNTS, LABELS, "start from 0"),
    ],
)
def test_refuses(X, y, says):
    with pytest.raises(ValueError, match=says):
        NaiveBayesLogisticRegression().fit(X, y)


def test_refuses_other_columns_and_no_smoothing():
    model = NaiveBayesLogisticRegression().fit(COUNTS, LABELS)
    with pytest.raises(ValueError, match="fitted on 3"):
        model.predict(COUNTS[:, :2])
    with pytest.raises(ValueError, match="not positive"):
        log_count_ratio(COUNTS, LABELS, smoothing=0)
    with pytest.raises(ValueError, match="both 0 and 1"):
        log_count_ratio(COUNTS, [1, 1, 1])
    with pytest.raises(ValueError, match="start from 0"):
        log_count_ratio(-COUNTS, LABELS)


def test_unfitted_and_very_sure_models_behave():
    from sklearn.exceptions import NotFittedError

    model = NaiveBayesLogisticRegression(C=1e6)
    with pytest.raises(NotFittedError):
        model.predict([[1, 0]])
    counts = np.tile(np.eye(2), (50, 1))
    model.fit(counts, [1, 0] * 50)
    model.coef_ = model.coef_ * 1e6  # no overflow, however sure
    np.testing.assert_allclose(model.predict_proba(counts[:2]), [[0, 1], [1, 0]], atol=1e-12)
