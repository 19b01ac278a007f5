"""What the first cell of every notebook starts: seeds, sizes, a banner, and a record of claims."""

import datetime
import functools
import importlib
import importlib.metadata
import inspect
import json
import math
import os
import platform
import re
import tomllib
from pathlib import Path

from utils import fetch, standins, switches

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
        # the runner sets this variable, to the folder where claims are to be recorded
        self._executed = os.environ.get("LESSONS_EXECUTED")
        self.verbose = 2 if self._executed else 1
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
                name: _version(name) for name in ("keras", package, "numpy", "scikit-learn")
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
        if self._executed:
            return things
        from tqdm.auto import tqdm

        return tqdm(things, unit=what, leave=False)

    def remember(self, function=None, *, depends=()):
        """Keep a long function's results on disk at full scale; at quick scale, do nothing.

        Each result is a file in build/cache, named by all that it depends on: the function's
        source and arguments, `depends`, the backend, and the versions in use. A run that was
        stopped therefore goes on where it was, and a cell may be moved without training again.

        Parameters
        ----------
        function : callable
            Its arguments must say all that its result depends on. Decorate with
            `@lesson.remember` or `@lesson.remember(depends=(build_model,))`.
        depends : sequence
            Functions and classes that it calls, and values it reads.

        Raises
        ------
        ValueError
            If the function has no name, or something in `depends` has no source to compare.
        """
        if function is None:
            return functools.partial(self.remember, depends=depends)
        key = self._key(function, depends)  # at quick scale too, so that errors come early
        if self.scale != "full":
            return function
        return _kept(function, switches.build_folder() / "cache" / self.slug, key)

    def _key(self, function, depends):
        if getattr(function, "__name__", "<lambda>") == "<lambda>":
            raise ValueError("remember needs a function with a name: use def, not lambda.")
        closed_over = inspect.getclosurevars(function).nonlocals
        return _digest(_source(function), depends, closed_over, self._stamp["versions"])

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
        if not math.isfinite(measured):
            raise ValueError(f"Claim {id!r}: measured={measured} is not a finite number.")
        sd = None if sd is None or math.isnan(sd) else float(sd)  # one repetition has none
        seeds = None if seeds is None else int(seeds)
        source = "generated" if data is None else f"{data.source}, {data.edition}"
        self._write(id, measured, sd, str(note), source, seeds)
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
        entry = {
            "id": id,
            "measured": measured,
            "sd": sd,
            "note": note,
            "data": data,
            "seeds": seeds,
        } | self._stamp
        record = self._record | {id: entry}
        text = json.dumps(list(record.values()), indent=1, ensure_ascii=False, allow_nan=False)
        folder = switches.build_folder() / "results" / self.scale
        folder = Path(self._executed) if self._executed else folder
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{self.slug}.{os.getpid()}.part"
        part.write_text(text + "\n", encoding="utf-8")
        os.replace(part, folder / f"{self.slug}.json")
        self._record = record


def _declared():
    if not CLAIMS.exists():  # utils without its checkout: nothing to check a claim against
        return []
    return tomllib.loads(CLAIMS.read_text(encoding="utf-8")).get("claim", [])


def _number(x):
    return f"{x:.4f}" if x == 0 or 1e-3 <= abs(x) < 1e6 else f"{x:.1e}"


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # tensorflow-cpu and the like
        return getattr(importlib.import_module(name), "__version__", "unknown")


def _kept(function, folder, key):
    """Return `function` with each result in a file of its own, written whole or not at all.

    `joblib.Memory` keeps one source for each function *name and place*: moving a notebook's cell,
    or one function with two kinds of settings, makes it forget what it knew.
    """
    import joblib

    @functools.wraps(function)
    def kept(*args, **kwargs):
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        name = f"{function.__name__}-{_digest(key, bound.arguments)}.joblib"
        if not (folder / name).exists():
            result = function(*args, **kwargs)
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f".{name}.{os.getpid()}.part"
            joblib.dump(result, part)
            os.replace(part, folder / name)
        return joblib.load(folder / name)  # the first time too: what is kept is what is used

    return kept


def _digest(*things):
    import joblib

    return joblib.hash(_visible(things))[:16]


def _visible(thing):
    """Replace functions and classes, which pickle by name only, by their sources."""
    if inspect.isfunction(thing) or inspect.isclass(thing):
        return _source(thing)
    if isinstance(thing, functools.partial):
        return _visible((thing.func, thing.args, thing.keywords))
    if isinstance(thing, dict):
        return {name: _visible(value) for name, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_visible(value) for value in thing]
    if callable(thing):
        raise ValueError(f"{thing!r}: name the function or class it is made from.")
    return thing


def _source(thing):
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError) as error:
        raise ValueError(f"{thing!r} has no source that a change could be seen in.") from error


def _device(keras):
    if keras.backend.backend() == "torch":
        import torch

        devices = ["cuda"] if torch.cuda.is_available() else []
    else:
        try:
            devices = keras.distribution.list_devices()
        except (AttributeError, NotImplementedError):  # this backend knows no devices
            devices = []
    accelerators = [device for device in devices if not device.startswith("cpu")]
    return ", ".join(accelerators) or f"the CPU ({os.cpu_count()} cores)"


def _banner(name):
    if fetch.source_of(name) == "real":
        if fetch.locate(name) is None:
            return f"{name}: real data, to be fetched"
        return f"{name}: real data, edition {fetch.edition_of(name)}"
    # no path: a published page would carry it
    why = ", for the data folder holds no complete set" if switches.source() == "auto" else ""
    get = f"python -m utils.fetch get {name}"
    if name not in standins.names():
        return f"{name}: NOT USED{why}, and there is no stand-in for it. To have it: {get}"
    return f"{name}: STAND-IN, generated here{why}; its numbers are no findings. Real data: {get}"
