"""Logistic regression on naive-Bayes-weighted n-grams: the linear baseline to beat for text.

Source: Wang and Manning, Baselines and Bigrams: Simple, Good Sentiment and Topic Classification
(ACL 2012), with logistic regression in the place of their support vector machine.
"""

import numpy as np
import scipy.sparse
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y

__all__ = ["NaiveBayesLogisticRegression", "log_count_ratio"]


def log_count_ratio(counts, labels, *, smoothing=1.0):
    """Return how much more a column belongs to label 1 than to label 0, by its counts alone.

    Parameters
    ----------
    counts : array or scipy sparse matrix
        (n, columns), how often each column's word occurs in each text, from 0.
    labels : array
        (n,), 1 or 0; both must occur.
    smoothing : float
        Added to each column's total in either class, so that an unseen word is no proof.

    Returns
    -------
    numpy.ndarray
        (columns,): log((p / sum p) / (q / sum q)), where p and q are the smoothed totals of
        the texts labelled 1 and 0.

    Raises
    ------
    ValueError
        If labels are not 0 and 1, a count is negative, or smoothing is not positive.
    """
    if not smoothing > 0:
        raise ValueError(f"smoothing={smoothing!r} is not positive: an unseen word has log(0).")
    counts, labels = check_X_y(counts, labels, accept_sparse="csr")
    if set(np.unique(labels)) != {0, 1}:
        raise ValueError(f"Received labels {np.unique(labels)[:5]}; both 0 and 1 must occur.")
    if counts.shape[0] and counts.min() < 0:
        raise ValueError(f"Received a count of {counts.min()}; counts start from 0.")
    totals = (np.ravel(counts[labels == label].sum(axis=0)) + smoothing for label in (1, 0))
    positive, negative = (total / total.sum() for total in totals)
    return np.log(positive / negative)


class NaiveBayesLogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression on words' presence, each weighted by its :func:`log_count_ratio`.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty, as in `sklearn.linear_model.LogisticRegression`.
    smoothing : float
        As in :func:`log_count_ratio`.
    max_iter : int
        Steps of the solver at most.

    Attributes
    ----------
    classes_ : numpy.ndarray
        The two labels, sorted; the second is the positive one.
    ratio_ : numpy.ndarray
        (columns,), the log-count ratio.
    coef_ : numpy.ndarray
        (columns,), the weight of a column's presence: ratio times what was learned.
    intercept_ : float
        What is added to the sum of weights.
    """

    def __init__(self, C=0.3, *, smoothing=1.0, max_iter=300):
        self.C = C
        self.smoothing = smoothing
        self.max_iter = max_iter

    def fit(self, X, y):
        """Learn from counts `X`, (n, columns) array or sparse matrix, and two kinds of labels `y`.

        Raises
        ------
        ValueError
            If `y` does not hold exactly two labels, or a count is negative.
        """
        X, y = check_X_y(X, y, accept_sparse="csr")
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(f"Received {len(self.classes_)} label(s); two are needed.")
        self.n_features_in_ = X.shape[1]
        present = _presence(X)
        self.ratio_ = log_count_ratio(present, labels, smoothing=self.smoothing)
        learned = LogisticRegression(C=self.C, max_iter=self.max_iter)
        learned.fit(present @ scipy.sparse.diags_array(self.ratio_), labels)
        self.coef_ = self.ratio_ * learned.coef_[0]
        self.intercept_ = float(learned.intercept_[0])
        return self

    def decision_function(self, X):
        """Return the (n,) log-odds of the positive label."""
        check_is_fitted(self)
        X = check_array(X, accept_sparse="csr")
        if X.shape[1] != self.n_features_in_:
            raise ValueError(f"Received {X.shape[1]} columns; fitted on {self.n_features_in_}.")
        return _presence(X) @ self.coef_ + self.intercept_

    def predict_proba(self, X):
        """Return the (n, 2) probabilities of the two labels in `classes_`."""
        positive = expit(self.decision_function(X))
        return np.column_stack([1 - positive, positive])

    def predict(self, X):
        """Return the (n,) likelier labels."""
        positive = self.decision_function(X) > 0  # first, for it says if nothing was fitted yet
        return self.classes_[positive.astype(int)]


def _presence(counts):
    counts = scipy.sparse.csr_array(counts)
    if counts.nnz and counts.data.min() < 0:
        raise ValueError(f"Received a count of {counts.data.min()}; counts start from 0.")
    return (counts > 0).astype(np.float64)
