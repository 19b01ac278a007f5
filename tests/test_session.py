"""utils.session and utils.switches: what the first cell of a notebook promises."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from utils import session, switches


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Point claims and build folder at an empty place with two claims of one notebook."""
    (tmp_path / "claims.toml").write_text(
        '[[claim]]\nid = "a.one"\nnotebook = "99_smoke_test"\nsays = ".5"\nfigure = 0.5\n'
        'better = "lower"\nunit = "MSE"\n'
        '[[claim]]\nid = "b.other"\nnotebook = "98_elsewhere"\nunit = "MSE"\n'
    )
    monkeypatch.setattr(session, "CLAIMS", tmp_path / "claims.toml")
    monkeypatch.setattr(switches, "build_folder", lambda: tmp_path / "build")
    return tmp_path


class Data:
    """Stands for what a loader returns."""

    source, edition = "real", "2016-10"


def test_slug_and_banner(folders, capsys):
    lesson = session.start("99 Smoke test!")
    assert lesson.slug == "99_smoke_test"
    printed = capsys.readouterr().out
    assert "quick scale" in printed and "keras" in printed and "numpy" in printed


@pytest.mark.parametrize(
    ("variable", "value"), [("LESSONS_SCALE", "huge"), ("LESSONS_SOURCE", "kaggle")]
)
def test_a_wrong_switch_is_named(folders, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable}='{value}'"):
        session.start("99 Smoke test", data=["movielens"])


def test_switches_are_read_late_and_forgive_case(monkeypatch):
    assert switches.scale() == "quick"
    monkeypatch.setenv("LESSONS_SCALE", " FULL ")
    assert switches.scale() == "full"


def test_seeds_reach_numpy_and_the_backend(folders):
    import keras

    def draw():
        session.start("99 Smoke test")
        return np.random.rand(3), keras.ops.convert_to_numpy(keras.random.normal((3,)))  # noqa: NPY002

    first, again = draw(), draw()
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


@pytest.mark.parametrize(("scale", "expected"), [("quick", 2), ("full", 40)])
def test_pick(folders, monkeypatch, scale, expected):
    monkeypatch.setenv("LESSONS_SCALE", scale)
    assert session.start("99 Smoke test").pick(quick=2, full=40) == expected


def test_claims_are_recorded_where_this_scale_keeps_them(folders, capsys):
    lesson = session.start("99 Smoke test")
    lesson.claim("a.one", 0.25, sd=0.01, note="twice", data=Data, seeds=2)
    path = folders / "build" / "results" / "quick" / "99_smoke_test.json"
    (record,) = json.loads(path.read_text(encoding="utf-8"))
    assert record["measured"] == 0.25 and record["data"] == "real, 2016-10"
    assert record["seeds"] == 2 and record["scale"] == "quick" and record["versions"]["keras"]
    assert "the lesson says .5" in capsys.readouterr().out

    lesson.not_measured("a.one", why="no time")
    (record,) = json.loads(path.read_text(encoding="utf-8"))
    assert record["measured"] is None and record["note"] == "no time"
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no half-written file stays


def test_a_stand_ins_number_is_called_one(folders, capsys):
    class StandIn:
        source, edition = "stand-in", "v1"

    session.start("99 Smoke test").claim("a.one", 0.25, data=StandIn)
    assert "not a finding" in capsys.readouterr().out


@pytest.mark.parametrize("id", ["a.two", "b.other"])
def test_a_claim_must_be_declared_for_this_notebook(folders, id):
    with pytest.raises(ValueError, match=r"no claim '.*' for 99_smoke_test; it has: a.one"):
        session.start("99 Smoke test").claim(id, 1.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_claim_must_be_a_number(folders, bad):
    with pytest.raises(ValueError, match="not a finite number"):
        session.start("99 Smoke test").claim("a.one", bad)


def test_remember_computes_once_at_full_scale_only(folders, monkeypatch):
    calls = []

    def double(x):
        calls.append(x)
        return 2 * x

    quick = session.start("99 Smoke test").remember(double)
    assert (quick(3), quick(3), calls) == (6, 6, [3, 3])
    monkeypatch.setenv("LESSONS_SCALE", "full")
    full = session.start("99 Smoke test").remember(double)
    assert (full(3), full(3), full(4), calls) == (6, 6, 8, [3, 3, 3, 4])
    # another value that the function depends on is another key
    again = session.start("99 Smoke test").remember(double, depends=(0.1,))
    assert (again(3), calls) == (6, [3, 3, 3, 4, 3])


def test_remember_tells_apart_what_looks_alike_and_refuses_what_it_cannot_see(folders, monkeypatch):
    monkeypatch.setenv("LESSONS_SCALE", "full")
    lesson = session.start("99 Smoke test")

    def times(factor):
        def f(x):
            return factor * x

        return lesson.remember(f)

    assert (times(2)(5), times(3)(5)) == (10, 15)  # a value in the closure

    def total(array):
        def f():
            return float(array.sum())

        return lesson.remember(depends=(array,))(f)

    a, b = np.zeros(10_000), np.zeros(10_000)
    b[5_000] = 1
    assert (total(a)(), total(b)()) == (0, 1)  # equal by their abridged repr

    monkeypatch.delenv("LESSONS_SCALE")
    quick = session.start("99 Smoke test")  # errors come at quick scale already
    with pytest.raises(ValueError, match="use def, not lambda"):
        quick.remember(lambda x: x)
    with pytest.raises(ValueError, match=r"no source|name the function"):
        quick.remember(depends=(np.add,))(times)


def test_remember_finds_its_results_after_the_cell_has_moved(folders, monkeypatch, tmp_path):
    monkeypatch.setenv("LESSONS_SCALE", "full")
    lesson, log = session.start("99 Smoke test"), tmp_path / "calls"
    source = (
        "def work(build, log, n=1):\n"
        "    with open(log, 'a') as f:\n        print(n, file=f)\n    return n\n"
    )

    def loaded(name, before=""):
        path = tmp_path / f"{name}.py"
        path.write_text(before + source)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return lesson.remember(module.work)

    first, moved = loaded("one_cell"), loaded("another", before="x = 1\n\n\n")
    for function in (first, moved, first):
        assert [function(session.start, str(log), n) for n in (1, 2, 1)] == [1, 2, 1]
    assert first(session.start, str(log)) == 1  # the default is an argument like any other
    assert log.read_text().split() == ["1", "2"]
    first(session.Lesson, str(log))  # another `build` is another result
    assert log.read_text().split() == ["1", "2", "1"]


def test_remember_keeps_nothing_of_a_run_that_failed(folders, monkeypatch):
    monkeypatch.setenv("LESSONS_SCALE", "full")
    broken = [True]

    def work(x):
        if broken:
            raise KeyboardInterrupt
        return x

    kept = session.start("99 Smoke test").remember(work)
    with pytest.raises(KeyboardInterrupt):
        kept(1)
    assert not list((folders / "build").rglob("*work*"))


def test_a_bad_claim_does_not_spoil_the_next(folders):
    lesson = session.start("99 Smoke test")
    with pytest.raises((TypeError, ValueError)):
        lesson.claim("a.one", 1.0, seeds="three")
    lesson.claim("a.one", 1.0, sd=float("nan"), seeds=np.int64(3))
    path = folders / "build" / "results" / "quick" / "99_smoke_test.json"
    (record,) = json.loads(path.read_text(encoding="utf-8"))
    assert record["sd"] is None and record["seeds"] == 3


def test_start_on_a_backend_that_knows_no_devices(tmp_path):
    pytest.importorskip("jax")  # Keras' NumPy backend imports it
    code = "from utils.session import start; start('99 Smoke test')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and "Keras computes with numpy" in done.stdout, done.stderr


def test_a_data_folder_that_is_a_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path / "file"))
    with pytest.raises(ValueError, match="is a file"):
        switches.data_folder()


def test_another_utils_in_the_way_is_explained(tmp_path):
    """The first line of every notebook fails with a line that says what to do."""
    from tests.test_notebooks import FIRST_LINE

    (tmp_path / "utils.py").write_text("")
    (tmp_path / "cell.py").write_text(FIRST_LINE + "\n")
    done = subprocess.run(
        [sys.executable, "cell.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode and "another `utils`" in done.stderr


def test_importing_utils_loads_no_framework_and_opens_no_connection():
    code = (
        "import socket, sys\n"
        "def refuse(*a): raise OSError('network at import')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "import importlib, pkgutil, utils\n"
        "for module in pkgutil.walk_packages(utils.__path__, 'utils.'):\n"
        "    importlib.import_module(module.name)\n"
        "assert 'tensorflow' not in sys.modules, 'tensorflow was imported'\n"
    )
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    pytest.importorskip("jax")
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
