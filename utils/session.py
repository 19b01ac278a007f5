"""What the first cell of every notebook starts: seeds, sizes, a banner, and a record of claims."""

import datetime
import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import re
import tempfile
import tomllib

from utils import fetch, switches

__all__ = ["Lesson", "start"]

CLAIMS = switches.PROJECT / "results" / "claims.toml"


def start(title, data=(), *, seed=0):
    """Seed everything, print what this run stands on, and return the `Lesson`.

    Parameters
    ----------
    title : str
        Number and name of the notebook, for instance `"11 IMDB sentiment"`.
    data : sequence of str
        Names of the data sets it uses, as in data/registry.toml.
    seed : int
        For Python, NumPy and the backend (`keras.utils.set_random_seed`).

    Raises
    ------
    ValueError
        If a switch holds an unknown value, or `data` an unknown set.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up chatter
    lesson = Lesson(title, seed)
    lesson._set_up(data)
    return lesson


class Lesson:
    """One run of one notebook.

    Attributes
    ----------
    title, slug : str
        `"11 IMDB sentiment"`, `"11_imdb_sentiment"`.
    scale : str
        `"quick"` or `"full"`; use `pick` rather than asking.
    seed : int
        The seed that was set.
    verbose : int
        For `model.fit(verbose=...)`: a bar with the time left in a live notebook,
        one line an epoch where a program executes it.
    """

    def __init__(self, title, seed=0):
        self.title = title
        self.slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
        self.scale = switches.scale()
        self.seed = seed
        self.verbose = 2 if os.environ.get("LESSONS_EXECUTED") else 1
        self._claims = {c["id"]: c for c in _declared() if c["notebook"] == self.slug}
        self._record = {}

    def _set_up(self, data):
        import keras

        keras.utils.set_random_seed(self.seed)
        backend, package = keras.backend.backend(), keras.backend.backend()
        self._stamp = {
            "scale": self.scale,
            "backend": backend,
            "device": _device(keras),
            "versions": {
                name: importlib.metadata.version(name)
                for name in ("keras", package, "numpy", "scikit-learn")
            }
            | {"python": platform.python_version()},
            "date": datetime.date.today().isoformat(),
        }
        versions = ", ".join(f"{name} {v}" for name, v in self._stamp["versions"].items())
        print(f"{self.title} · {self.scale} scale · seed {self.seed}")
        print(f"{versions}; Keras computes with {backend} on {self._stamp['device']}")
        for name in data:
            print(_banner(name))

    def pick(self, *, quick, full):
        """Return `quick` or `full`, whichever scale this run has."""
        return full if self.scale == "full" else quick

    def steps(self, things, what="step"):
        """Walk through `things` with a bar and the time left, in a live notebook only."""
        from tqdm.auto import tqdm

        return tqdm(things, unit=what, leave=False, disable=self.verbose == 2)

    def remember(self, function=None, *, depends=()):
        """Keep a long function's results on disk at full scale; at quick scale, do nothing.

        Results lie in build/cache, by `joblib.Memory`, keyed by the function's source and
        arguments, the sources in `depends`, the backend and the versions of Keras and the
        backend. A run that was stopped therefore goes on where it was.

        Parameters
        ----------
        function : callable
            Its arguments must say all that its result depends on. Decorate with
            `@lesson.remember` or `@lesson.remember(depends=(build_model,))`.
        depends : sequence
            Functions and classes that it calls, and plain values it reads.
        """
        if function is None:
            return functools.partial(self.remember, depends=depends)
        if self.scale != "full":
            return function
        import joblib

        parts = [inspect.getsource(d) if callable(d) else repr(d) for d in depends]
        parts += [json.dumps(self._stamp["versions"], sort_keys=True), self._stamp["backend"]]
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        folder = switches.build_folder() / "cache" / self.slug / key
        return joblib.Memory(folder, verbose=0).cache(function)

    def claim(self, id, measured, *, sd=None, note="", data=None, seeds=None):
        """Record what was measured for a claim of results/claims.toml, and say so.

        Parameters
        ----------
        id : str
            For instance `"cf.bias"`.
        measured : float
            In the claim's unit.
        sd : float, optional
            Standard deviation over seeds or splits.
        note : str
            How it was measured, in a few words.
        data : object or None
            What a loader returned: anything with `source` and `edition`. None where the
            claim needs no data set ("generated").
        seeds : int, optional
            How many seeds or splits `measured` is the mean of.

        Raises
        ------
        ValueError
            If this notebook has no such claim, or the number is not finite.
        """
        claim, measured = self._claim(id), float(measured)
        if measured != measured or abs(measured) == float("inf"):
            raise ValueError(f"Claim {id!r}: measured={measured} is not a finite number.")
        source = "generated" if data is None else f"{data.source}, {data.edition}"
        self._write(id, measured, None if sd is None else float(sd), note, source, seeds)
        spread = "" if sd is None else f" ± {_number(sd)}"
        says = f"; the lesson says {claim['says']}" if claim.get("says") else ""
        warning = " [a stand-in's number, not a finding]" if source.startswith("stand-in") else ""
        print(f"{id}: {_number(measured)}{spread} {claim['unit']}{says}{warning}")

    def not_measured(self, id, why):
        """Record that a claim was not measured in this run, and why."""
        self._claim(id)
        self._write(id, None, None, why, "none", None)
        print(f"{id}: not measured: {why}")

    def _claim(self, id):
        if id not in self._claims:
            known = ", ".join(self._claims) or "none"
            raise ValueError(
                f"results/claims.toml has no claim {id!r} for {self.slug}; it has: {known}."
            )
        return self._claims[id]

    def _write(self, id, measured, sd, note, data, seeds):
        self._record[id] = {
            "id": id,
            "measured": measured,
            "sd": sd,
            "note": note,
            "data": data,
            "seeds": seeds,
        } | self._stamp
        folder = switches.build_folder() / "results" / self.scale
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(list(self._record.values()), indent=1, ensure_ascii=False)
        with tempfile.NamedTemporaryFile(
            "w", dir=folder, suffix=".part", delete=False, encoding="utf-8"
        ) as part:
            part.write(text + "\n")
        os.replace(part.name, folder / f"{self.slug}.json")


def _declared():
    if not CLAIMS.exists():  # utils without its checkout: nothing to check a claim against
        return []
    return tomllib.loads(CLAIMS.read_text(encoding="utf-8")).get("claim", [])


def _number(x):
    return f"{x:.4f}" if x == 0 or 1e-3 <= abs(x) < 1e6 else f"{x:.1e}"


def _device(keras):
    accelerators = [d for d in keras.distribution.list_devices() if not d.startswith("cpu")]
    return ", ".join(accelerators) or f"the CPU ({os.cpu_count()} cores)"


def _banner(name):
    if fetch.source_of(name) == "real":
        return f"{name}: real data from {switches.data_folder()}"
    return (
        f"{name}: STAND-IN, generated here; its numbers are no findings. "
        f"Real data: python -m utils.fetch get {name}"
    )
