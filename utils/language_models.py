"""Counting as a language model: smoothed n-grams, the baseline of every network that reads text.

Interpolated Kneser-Ney smoothing in its modified form, with three discounts an order. Sources:
Kneser and Ney, Improved backing-off for m-gram language modeling (ICASSP 1995); Chen and Goodman,
An empirical study of smoothing techniques for language modeling (1998), equations 26 and 27.

The libraries at hand did not fit: nltk.lm asks one probability at a time, and KenLM is a program
to compile, for words and huge texts. Over arrays of ids it is one sort an order.
"""

import numpy as np

from utils._whole_numbers import checked_ids, whole_number

__all__ = ["NGramModel", "bits", "perplexity"]


def bits(log_probabilities):
    """Return the mean surprise in bits per token.

    Parameters
    ----------
    log_probabilities : array
        Natural logarithms of the probabilities that a model gave to what came, from one.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not np.size(log_probabilities):
        raise ValueError("Received no log probabilities: nothing was scored.")
    return float(-np.mean(log_probabilities) / np.log(2))


def perplexity(log_probabilities):
    """Return exp(mean surprise): among how many equally likely tokens it is like guessing."""
    return 2 ** bits(log_probabilities)


class NGramModel:
    """Predicts a token from the `order` - 1 before it, by smoothed counts.

    Parameters
    ----------
    order : int
        From 1 (how often each token occurs).
    vocabulary_size : int
        Ids run from 0 to `vocabulary_size` - 1; each of them gets some probability everywhere.

    Attributes
    ----------
    discounts_ : list of numpy.ndarray
        For each order, (3,): what is taken off counts of 1, of 2, and of 3 or more.
    n_grams_ : list of int
        How many different n-grams each order has.
    """

    def __init__(self, order, vocabulary_size):
        self.order = whole_number("order", order, least=1)
        self.vocabulary_size = whole_number("vocabulary_size", vocabulary_size, least=1)

    def fit(self, ids):
        """Count the n-grams of a text.

        Parameters
        ----------
        ids : array
            (n,) whole numbers; n is at least `order`.

        Returns
        -------
        NGramModel
            Itself.

        Raises
        ------
        ValueError
            If an id is out of range or the text is too short.
        """
        ids = checked_ids(ids, self.vocabulary_size)
        if len(ids) < self.order:
            raise ValueError(f"Received {len(ids)} tokens; order {self.order} needs more.")
        self._tables, self.discounts_, self.n_grams_ = [], [], []
        grams, left = [], np.zeros(len(ids), np.int64)  # the one empty context
        for _ in range(self.order):  # left[t]: which (k - 1)-gram ends just before t
            keys = left * self.vocabulary_size + ids[len(ids) - len(left) :]
            known, gram, count = np.unique(keys, return_inverse=True, return_counts=True)
            grams.append((known, gram, count))
            left = gram[:-1]
        for k, (known, _, count) in enumerate(grams, start=1):
            if k < self.order:  # count in how many contexts a shorter gram is met, not how often
                count = self._continuations(grams[k], grams[k - 1], count)
            self._tables.append(self._table(known, count, k))
        return self

    def _continuations(self, longer, shorter, count):
        """Count the different tokens before each gram; the text's first gram has none."""
        known, gram, _ = longer
        first = np.zeros(len(known), np.int64)
        first[gram] = shorter[1][1:]  # the k-gram that each (k + 1)-gram ends with
        continued = np.bincount(first, minlength=len(count))
        return np.maximum(continued, 1)

    def _table(self, known, count, k):
        """Return what one order needs to know of its n-grams and of their contexts."""
        discounts = _discounts(count)
        self.discounts_.append(discounts)
        self.n_grams_.append(len(known))
        taken = discounts[np.minimum(count, 3) - 1]
        context = known // self.vocabulary_size
        contexts = int(context.max()) + 1
        total = np.bincount(context, count, contexts)
        freed = np.bincount(context, taken, contexts)
        seen = total > 0  # the text's last gram may be nobody's context
        total[~seen], freed[~seen] = 1, 1
        return known, (count - taken) / total[context], freed / total

    def log_probabilities(self, ids, context=()):
        """Return the log-probability of each token, given those before it.

        Parameters
        ----------
        ids : array
            (n,) whole numbers.
        context : array
            Tokens that stand before them, such as the end of the training part; by default the
            first tokens are predicted from fewer.

        Returns
        -------
        numpy.ndarray
            (n,) float64, natural logarithms; `bits` and `perplexity` summarise them.
        """
        context, ids = (checked_ids(row, self.vocabulary_size) for row in (context, ids))
        context = context[len(context) - min(len(context), self.order - 1) :]
        whole = np.concatenate([context, ids])
        probability = np.full(len(whole), 1 / self.vocabulary_size)
        left = np.zeros(len(whole), np.int64)
        for k, (known, share, backoff) in enumerate(self._learned(), start=1):
            here = slice(k - 1, None)
            gram = _find(known, left * self.vocabulary_size + whole[here], left >= 0)
            inside = (left >= 0) & (left < len(backoff))
            weight = np.where(inside, backoff[np.where(inside, left, 0)], 1.0)
            own = np.where(gram >= 0, share[gram], 0.0)
            probability[here] = own + weight * probability[here]
            left = gram[:-1]
        return np.log(probability[len(context) :])

    def probabilities(self, context=()):
        """Return the distribution of the next token.

        Parameters
        ----------
        context : array
            (n,) the tokens before it; the last `order` - 1 are used.

        Returns
        -------
        numpy.ndarray
            (vocabulary_size,), with sum 1.
        """
        context = checked_ids(context, self.vocabulary_size)
        every = np.arange(self.vocabulary_size)
        probability = np.full(self.vocabulary_size, 1 / self.vocabulary_size)
        for k, (known, share, backoff) in enumerate(self._learned(), start=1):
            if k - 1 > len(context):
                break
            left = 0
            for j, token in enumerate(context[len(context) - (k - 1) :]):
                left = int(_find(self._tables[j][0], np.array([left * len(every) + token]))[0])
                if left < 0:
                    break
            if not 0 <= left < len(backoff):
                break
            gram = _find(known, left * self.vocabulary_size + every)
            probability = np.where(gram >= 0, share[gram], 0.0) + backoff[left] * probability
        return probability

    def _learned(self):
        if not hasattr(self, "_tables"):
            raise ValueError("Nothing was counted yet: call fit first.")
        return self._tables


def _find(known, keys, asked=True):
    """Return the place of each key among the sorted known ones; -1 where it is not."""
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(asked & (known[place] == keys), place, -1)


def _discounts(count):
    """Return Chen and Goodman's discounts for counts of 1, 2, and 3 or more.

    On texts too small or too regular for their estimate, which needs n-grams of each count from 1
    to 4, half of the smallest count is taken off instead.
    """
    n1, n2, n3, n4 = (np.sum(count == c) for c in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        discounts = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if ((discounts > 0) & (discounts < [1, 2, 3])).all():
            return discounts
    return np.full(3, 0.5)
