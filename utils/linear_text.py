"""Linear models of a text's words: what a network has to beat, from the same matrix of ids."""

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from utils._labels import zero_or_one
from utils.naive_bayes import NaiveBayesLogisticRegression

__all__ = ["LINEAR", "as_text", "fit_linear"]

LINEAR = {  # name: longest n-gram, strengths of the penalty to choose from (as scikit-learn's C)
    "bag of words": (1, (0.01, 0.03, 0.1, 0.3)),
    "TF-IDF, pairs": (2, (1, 4, 16, 64)),
    "naive Bayes, triples": (3, (0.03, 0.1, 0.3, 1)),
}


def as_text(ids):
    """Write each row of ids as a text of numbers, padding left out, for scikit-learn to split.

    Parameters
    ----------
    ids : numpy.ndarray
        (n, length) integers; 0 is padding.

    Returns
    -------
    list of str
        `"12 7 4999"` for a row `[0, 0, 12, 7, 4999]`.

    Raises
    ------
    ValueError
        If it is no matrix of integers from 0.
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or (ids < 0).any():
        below = f", the least {ids.min()}" if ids.dtype.kind in "iu" and ids.size else ""
        hint = " One review x is x[None]." if ids.ndim == 1 else ""
        raise ValueError(
            f"Received {ids.dtype} ids of shape {ids.shape}{below}; a matrix of integers from 0 is "
            f"accepted, one row a review.{hint}"
        )
    return [" ".join(map(str, row[row > 0].tolist())) for row in ids]


def fit_linear(name, train, validation):
    """Fit one of the three linear models of notebook 11, its penalty chosen on validation rows.

    Parameters
    ----------
    name : str
        `"bag of words"`: logistic regression on which words occur. `"TF-IDF, pairs"`: on words and
        pairs, rare ones weighing more. `"naive Bayes, triples"`: on words, pairs and triples,
        weighted as in :mod:`utils.naive_bayes`.
    train, validation : (ids, labels)
        (n, length) word ids with 0 for padding, and (n,) or (n, 1) labels, 0 or 1.

    Returns
    -------
    TextModel
        With `probabilities` and `score`, of matrices of ids.

    Raises
    ------
    ValueError
        If there is no such model, ids are no matrix of integers from 0, there is not one label a
        row, labels are others than 0 and 1, or too few n-grams are found.
    """
    if name not in LINEAR:
        raise ValueError(f"name={name!r} is not one of {', '.join(LINEAR)}.")
    longest, strengths = LINEAR[name]
    cut = {"token_pattern": r"\S+", "min_df": 1 if longest == 1 else 2, "ngram_range": (1, longest)}
    if name == "TF-IDF, pairs":
        vectorizer, kind = TfidfVectorizer(sublinear_tf=True, **cut), LogisticRegression
    else:
        vectorizer = CountVectorizer(binary=True, **cut)
        kind = LogisticRegression if longest == 1 else NaiveBayesLogisticRegression
    (texts, labels), (new_texts, new_labels) = (
        _checked(*train, "training"),
        _checked(*validation, "validation"),
    )
    known, new = vectorizer.fit_transform(texts), vectorizer.transform(new_texts)
    fitted = [kind(C=C, max_iter=500).fit(known, labels) for C in strengths]
    best = max(fitted, key=lambda model: model.score(new, new_labels))
    return TextModel(vectorizer, best)


def _checked(ids, labels, name):
    texts = as_text(ids)
    return texts, zero_or_one(labels, len(texts), name)


class TextModel:
    """A vectorizer and a classifier, both fitted, that take matrices of ids.

    Attributes
    ----------
    vectorizer : CountVectorizer or TfidfVectorizer
        Its features are ids, joined by spaces.
    classifier : LogisticRegression or NaiveBayesLogisticRegression
        With `coef_`, one weight a feature.
    """

    def __init__(self, vectorizer, classifier):
        self.vectorizer, self.classifier = vectorizer, classifier

    def probabilities(self, ids):
        """Return the (n,) probabilities of label 1 for (n, length) ids."""
        return self._judged(as_text(ids))

    def score(self, ids, labels):
        """Return the share of rows whose likelier label is right; labels are 0 or 1, one a row."""
        texts, labels = _checked(ids, labels, "scored")
        return float(np.mean((self._judged(texts) > 0.5) == labels))

    def _judged(self, texts):
        return self.classifier.predict_proba(self.vectorizer.transform(texts))[:, 1]
