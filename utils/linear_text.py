"""Linear models of a text's words: what a network has to beat, from the same matrix of ids."""

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

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
    """
    return [" ".join(map(str, row[row > 0].tolist())) for row in np.asarray(ids)]


def fit_linear(name, train, validation):
    """Fit one of the three linear models of notebook 11, its penalty chosen on validation rows.

    Parameters
    ----------
    name : str
        `"bag of words"`: logistic regression on which words occur. `"TF-IDF, pairs"`: on words and
        pairs, rare ones weighing more. `"naive Bayes, triples"`: on words, pairs and triples,
        weighted as in :mod:`utils.naive_bayes`.
    train, validation : (ids, labels)
        (n, length) word ids with 0 for padding, and (n,) labels.

    Returns
    -------
    TextModel
        With `probabilities` and `score`, of matrices of ids.

    Raises
    ------
    ValueError
        If there is no such model, or two n-grams that occur in two texts each are not found.
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
    known, new = (
        vectorizer.fit_transform(as_text(train[0])),
        vectorizer.transform(as_text(validation[0])),
    )
    fitted = [kind(C=C, max_iter=500).fit(known, train[1]) for C in strengths]
    best = max(fitted, key=lambda model: model.score(new, validation[1]))
    return TextModel(vectorizer, best)


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
        return self.classifier.predict_proba(self.vectorizer.transform(as_text(ids)))[:, 1]

    def score(self, ids, labels):
        """Return the share of rows whose likelier label is right."""
        return float(np.mean((self.probabilities(ids) > 0.5) == labels))
