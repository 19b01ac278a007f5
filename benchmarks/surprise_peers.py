"""Fit one scikit-surprise model on a split, for collaborative_filtering.py.

It runs in an environment of its own, with NumPy and scikit-surprise, and nothing of this project:

    python surprise_peers.py SPLIT.npz '{"algorithm": "SVD", "n_factors": 50}' RESULT.npz
"""

import importlib.metadata
import json
import sys
import time
from pathlib import Path

import numpy as np


def peak_megabytes():
    """Return the most memory this process has held, in MB, libraries included. Needs Linux."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main(split, settings, result):
    """Fit, predict what is asked, and keep predictions and costs."""
    import surprise

    settings = json.loads(settings)
    algorithm = getattr(surprise, settings.pop("algorithm"))
    data = np.load(split)
    train = [data[name].tolist() for name in ("user", "movie", "rating")]
    asked = list(zip(data["asked_user"].tolist(), data["asked_movie"].tolist(), strict=True))
    libraries = peak_megabytes()
    # its own form of the ratings, not counted in the time to fit
    reader = surprise.Reader(rating_scale=(0.5, 5))
    rows = [(u, m, r, None) for u, m, r in zip(*train, strict=True)]
    trainset = surprise.Dataset(reader).construct_trainset(rows)
    testset = [(u, m, None) for u, m in asked]
    np.random.seed(0)  # noqa: NPY002  the library draws from NumPy's global generator

    model = algorithm(**settings)
    moments = [time.process_time()]
    model.fit(trainset)
    moments.append(time.process_time())
    predicted = [each.est for each in model.test(testset)]
    moments.append(time.process_time())
    np.savez(
        result,
        predicted=np.array(predicted, np.float32),
        seconds=np.diff(moments),
        megabytes=[libraries, peak_megabytes()],
        versions=[f"scikit-surprise {importlib.metadata.version('scikit-surprise')}"],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
