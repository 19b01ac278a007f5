"""Compare two ways of doing one thing, as ratios of processor time over interleaved pairs."""

import statistics
import time


def ratios(ours, peer, pairs=15):
    """Return processor-time ratios ours / peer, one a pair, taken in turn so that noise hits both.

    Parameters
    ----------
    ours, peer : callable
        Without arguments; each is called once beforehand to warm up.
    pairs : int
        How many pairs; every other one starts with the peer.

    Returns
    -------
    list of float
    """
    ours(), peer()
    collected = []
    for pair in range(pairs):
        took = {}
        for name, call in sorted((("a", ours), ("b", peer)), reverse=pair % 2):
            before = time.process_time()
            call()
            took[name] = time.process_time() - before
        collected.append(took["a"] / took["b"])
    return collected


def summary(values):
    """Return the median and the quartiles as text: `0.50 (0.48 to 0.53)`."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
