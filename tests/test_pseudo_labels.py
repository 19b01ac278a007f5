"""The mixer's counts, coverage, order and repeatability, exactly; through Keras' `fit` too."""

import pickle
from collections import Counter
from fractions import Fraction

import keras
import numpy as np
import pytest

from utils.pseudo_labels import PseudoLabelMixer, check_no_overlap

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")


def rows_and_pool(n, pool):
    """Return a set whose rows say who they are: 0, 1, 2 ..., and -1, -2, -3 ... in the pool."""
    x = np.arange(n, dtype="float32")[:, None]
    x_pseudo = -1 - np.arange(pool, dtype="float32")[:, None]
    return x, x[:, 0] % 2, x_pseudo, np.full(pool, 0.25, "float32")


def epochs_of(mixer, count):
    """Return what epochs hold: for each, a list of (labelled rows, pseudo rows) by batch."""
    found = []
    for _ in range(count):
        batches = []
        for x, y in mixer:
            names = x[:, 0].astype(int)
            labelled, pseudo = names[names >= 0], -1 - names[names < 0]
            np.testing.assert_array_equal(y[: len(labelled)], labelled % 2)  # labels stay with rows
            np.testing.assert_array_equal(y[len(labelled) :], np.full(len(pseudo), 0.25))
            batches.append((labelled.tolist(), pseudo.tolist()))
        found.append(batches)
        mixer.on_epoch_end()
    return found


TABLE = [
    (n, pool, batch, fraction)
    for n, pool in ((1, 1), (7, 3), (64, 50), (90, 300), (101, 9))
    for batch in (1, 3, 16, 64)
    for fraction in (0, 1 / 16, 1 / 4, 1 / 3, 1 / 2, 3 / 4)
]


@pytest.mark.parametrize(("n", "pool", "batch", "fraction"), TABLE)
def test_counts_coverage_and_order(n, pool, batch, fraction):
    mixer = PseudoLabelMixer(*rows_and_pool(n, pool), batch, fraction, seed=3)
    epochs = epochs_of(mixer, 3)
    for batches in epochs:
        assert len(batches) == len(mixer)
        sizes = [len(labelled) + len(pseudo) for labelled, pseudo in batches]
        assert all(size == batch for size in sizes[:-1]) and 0 < sizes[-1] <= batch
        for (_, pseudo), size in zip(batches, sizes, strict=True):
            assert abs(len(pseudo) - Fraction(fraction) * size) <= 1
        assert sorted(row for labelled, _ in batches for row in labelled) == list(range(n))
    walk = [row for batches in epochs for _, pseudo in batches for row in pseudo]
    for start in range(0, len(walk), pool):
        lap = walk[start : start + pool]
        assert len(set(lap)) == len(lap)  # no row returns before all had their turn


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    n=st.integers(1, 300),
    pool=st.integers(1, 300),
    batch=st.integers(1, 70),
    fraction=st.floats(0, 0.95),
)
def test_share_of_every_batch(n, pool, batch, fraction):
    mixer = PseudoLabelMixer(*rows_and_pool(n, pool), batch, fraction)
    counts = [tuple(map(len, mixer.rows(i))) for i in range(len(mixer))]
    assert sum(labelled for labelled, _ in counts) == n
    for labelled, pseudo in counts:
        assert abs(pseudo - Fraction(fraction) * (labelled + pseudo)) <= 1


def test_orders_differ_by_epoch_and_by_seed_and_not_otherwise():
    data = rows_and_pool(200, 80)
    first = epochs_of(PseudoLabelMixer(*data, 16, 0.3, seed=1), 3)
    assert first == epochs_of(PseudoLabelMixer(*data, 16, 0.3, seed=1), 3)
    others = epochs_of(PseudoLabelMixer(*data, 16, 0.3, seed=2), 3)
    orders = [
        tuple(row for labelled, _ in batches for row in labelled) for batches in first + others
    ]
    assert len(set(orders)) == 6
    walks = [
        [row for batches in epochs for _, pseudo in batches for row in pseudo]
        for epochs in (first, others)
    ]
    laps = {tuple(walk[start : start + 80]) for walk in walks for start in (0, 80, 160)}
    assert len(laps) == 6 and tuple(range(80)) not in laps
    assert all(sorted(lap) == list(range(80)) for lap in laps)


def test_an_epoch_can_be_set():
    data = rows_and_pool(45, 13)
    mixer = PseudoLabelMixer(*data, 8, 0.3)
    whole = epochs_of(PseudoLabelMixer(*data, 8, 0.3), 4)
    for epoch in (2, 0, 3):
        mixer.epoch = epoch
        assert epochs_of(mixer, 1) == whole[epoch : epoch + 1]


def test_initial_epoch_is_where_an_unbroken_run_would_be():
    data = rows_and_pool(45, 13)
    whole = epochs_of(PseudoLabelMixer(*data, 8, 0.3), 7)
    for epoch in range(7):
        started = PseudoLabelMixer(*data, 8, 0.3, initial_epoch=epoch)
        assert epochs_of(started, 7 - epoch) == whole[epoch:]


def test_batches_come_in_any_order_and_from_copies():
    mixer = PseudoLabelMixer(*rows_and_pool(45, 13), 8, 0.3, seed=5)
    copy = pickle.loads(pickle.dumps(mixer))
    for index in (5, 0, 3, 3, len(mixer) - 1):
        for one, other in zip(mixer[index], copy[index], strict=True):
            np.testing.assert_array_equal(one, other)
    for index in (-1, len(mixer)):
        with pytest.raises(IndexError, match=f"batch {index}"):
            mixer[index]


def test_a_plain_shuffle_where_the_fraction_is_0():
    x, y, x_pseudo, y_pseudo = rows_and_pool(10, 4)
    mixer = PseudoLabelMixer(x, y, x_pseudo[:0], y_pseudo[:0], 4, fraction=0, seed=9)
    order = np.random.default_rng([9, 0, 0]).permutation(10)
    np.testing.assert_array_equal(np.concatenate([b for b, _ in mixer]), x[order])


# ---- through fit ----


@pytest.fixture
def handed_over(monkeypatch):
    """Return the list of batches that Keras takes from a dataset."""
    from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

    taken, standardize = [], PyDatasetAdapter._standardize_batch

    def kept(self, batch):
        taken.append(batch[0][:, 0].tolist())
        return standardize(self, batch)

    monkeypatch.setattr(PyDatasetAdapter, "_standardize_batch", kept)
    return taken


def fit(model, mixer, epochs, taken):
    """Fit and return the batches of each epoch as the backend was handed them."""
    del taken[:]
    first = mixer.epoch
    model.fit(mixer, initial_epoch=first, epochs=first + epochs, shuffle=False, verbose=0)
    assert mixer.epoch == first + epochs
    size = len(mixer)
    batches = taken[len(taken) - epochs * size :]  # Keras looks at some before it starts
    return [batches[i : i + size] for i in range(0, len(batches), size)]


slow = pytest.mark.slow


@pytest.mark.parametrize(
    "settings",
    [
        (45, 13, 8, 0.3),
        pytest.param((5, 3, 64, 0.25), marks=slow),  # one batch an epoch
        pytest.param((12, 20, 8, 0), marks=slow),
    ],
)
def test_fit_gets_the_same_batches_with_any_number_of_workers(settings, handed_over):
    n, pool, *rest = settings
    data = rows_and_pool(n, pool)
    expected = [
        [labelled + [-1 - row for row in pseudo] for labelled, pseudo in batches]
        for batches in epochs_of(PseudoLabelMixer(*data, *rest), 3)
    ]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    for workers in (0, 1, 4):
        assert (
            fit(model, PseudoLabelMixer(*data, *rest, workers=workers), 3, handed_over) == expected
        )
        later = PseudoLabelMixer(*data, *rest, initial_epoch=2, workers=workers)
        assert fit(model, later, 1, handed_over) == expected[2:]
    mixer = PseudoLabelMixer(*data, *rest)
    again = fit(model, mixer, 1, handed_over) + fit(
        model, mixer, 2, handed_over
    )  # no epoch is lost between
    assert again == expected


def test_evaluate_and_predict_leave_the_epoch_alone(handed_over):
    data = rows_and_pool(12, 5)
    mixer = PseudoLabelMixer(*data, 8, 0.25)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    expected = fit(model, PseudoLabelMixer(*data, 8, 0.25), 3, handed_over)
    seen = fit(model, mixer, 1, handed_over)
    model.evaluate(mixer, verbose=0)
    model.predict(mixer, verbose=0)
    assert seen + fit(model, mixer, 2, handed_over) == expected


def test_a_subclass_that_calls_on_misses_no_epoch(handed_over):
    class Told(PseudoLabelMixer):
        def on_epoch_end(self):
            self.told = [*getattr(self, "told", []), self.epoch]
            super().on_epoch_end()

    data = rows_and_pool(12, 5)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    expected = fit(model, PseudoLabelMixer(*data, 8, 0.25), 2, handed_over)
    mixer = Told(*data, 8, 0.25)
    assert fit(model, mixer, 2, handed_over) == expected
    assert mixer.told[-2:] == [0, 1]


def test_weights_count_in_the_loss():
    x, y, x_pseudo, y_pseudo = rows_and_pool(6, 4)
    mixer = PseudoLabelMixer(x, y, x_pseudo, y_pseudo, 100, 0.25, pseudo_weight=0.5)
    (bx, by, weights), *_ = mixer
    assert weights.dtype == "float32"
    np.testing.assert_array_equal(weights, np.where(bx[:, 0] < 0, 0.5, 1))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    errors = (np.asarray(model(bx))[:, 0] - by) ** 2
    np.testing.assert_allclose(
        model.evaluate(mixer, verbose=0), (errors * weights).mean(), rtol=1e-5
    )


# ---- labels and sources ----


def test_threshold_keeps_the_confident():
    soft = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]])
    x, y = np.zeros((4, 2)), np.eye(3)[[0, 1, 2, 0]]
    for threshold, kept in ((0.5, [0, 1, 2]), (0.8, [1, 2]), (0.81, [2]), (None, [0, 1, 2])):
        mixer = PseudoLabelMixer(x, y, np.zeros((3, 2)), soft, threshold=threshold)
        assert mixer.pool.tolist() == kept
        seen = Counter(
            row for _ in range(6) for row in mixer.rows(0)[1] if not mixer.on_epoch_end()
        )
        assert set(seen) <= set(kept)
    for form in ((4,), (4, 1)):
        p = np.array([0.05, 0.3, 0.6, 0.95]).reshape(form)
        mixer = PseudoLabelMixer(x, np.ones(form), np.zeros((4, 2)), p, threshold=0.9)
        assert mixer.pool.tolist() == [0, 3]
    for threshold in (0.6, 0.7, 0.8, 0.9):  # which float32 rounds up or down
        p = np.full((2, 1), threshold, "float32")
        mixer = PseudoLabelMixer(x, np.ones((4, 1)), np.zeros((2, 2)), p, threshold=threshold)
        assert mixer.pool.tolist() == [0, 1]


def test_sources_of_every_kind_give_the_same_batches(tmp_path):
    rng = np.random.default_rng(0)
    x, x_pseudo = rng.random((30, 4, 2), "float32"), rng.random((11, 4, 2), "float32")
    y, y_pseudo = np.eye(3, dtype="float32")[rng.integers(0, 3, 30)], rng.dirichlet(np.ones(3), 11)
    np.save(tmp_path / "x.npy", x)

    class Lazy:
        def __init__(self, array):
            self.array = array

        def __len__(self):
            return len(self.array)

        def __getitem__(self, rows):
            assert isinstance(rows, np.ndarray)
            if (np.diff(rows) <= 0).any():  # what h5py says
                raise TypeError("Indexing elements must be in increasing order")
            return self.array[rows]

    def mixed_from(x, x_pseudo):  # 14 of 16: rows of the pool come twice in a batch
        return [
            batch
            for size, share in ((8, 0.3), (16, 0.9))
            for batch in PseudoLabelMixer(x, y, x_pseudo, y_pseudo, size, share)
        ]

    plain = mixed_from(x, x_pseudo)
    for source, other in (
        (np.load(tmp_path / "x.npy", mmap_mode="r"), x_pseudo),
        (Lazy(x), Lazy(x_pseudo)),
        (x, Lazy(x_pseudo)),
        (x.astype("float64"), Lazy(x_pseudo)),
        (x, x_pseudo.astype("float64")),
        (np.asfortranarray(x), x_pseudo[::-1][::-1]),
    ):
        mixed = mixed_from(source, other)
        for one, two in zip(plain, mixed, strict=True):
            np.testing.assert_array_equal(one[0], two[0])
            np.testing.assert_array_equal(one[1], two[1])


def test_types_meet_in_the_fractions():
    x, y = np.zeros((3, 2), "uint8"), np.array([0, 1, 1])
    (bx, by), *_ = PseudoLabelMixer(x, y, np.zeros((2, 2), "float32"), np.float32([0.2, 0.7]))
    assert bx.dtype == by.dtype == "float32"
    (bx, by), *_ = PseudoLabelMixer(x, y, x[:2], np.array([0, 1]))
    assert bx.dtype == "uint8" and by.dtype == y.dtype
    (_, by), *_ = PseudoLabelMixer(x, y, x[:2], np.float16([0, 0.5]))
    assert by.dtype == "float16"


def test_no_digit_is_lost():
    x, pool = np.array([[60001], [4099]]), np.zeros((3, 1), "float16")
    (bx, by), *_ = PseudoLabelMixer(x, x, pool, pool)
    assert sorted(bx[:, 0].tolist())[-2:] == sorted(by[:, 0].tolist())[-2:] == [4099, 60001]


KINDS = {
    "classes": [0, 3, 2, 1],
    "either": [0, 1, 1, 0],
    "fractions": [0.25, 0.5, 0, 1],
    "neither": [0.25, 3, 0, 1],
}


@pytest.mark.parametrize("form", [(4,), (4, 1)])
@pytest.mark.parametrize("one", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_kinds_of_labels_have_to_agree(one, other, form):
    x = np.zeros((4, 1))
    y, y_pseudo = (np.reshape(KINDS[kind], form) for kind in (one, other))
    if "neither" in (one, other) or {one, other} == {"classes", "fractions"}:
        with pytest.raises(ValueError, match=r"no classes|Give classes to both, or prob"):
            PseudoLabelMixer(x, y, x, y_pseudo)
    else:
        (_, by), *_ = PseudoLabelMixer(x, y, x, y_pseudo, 100, 0.5)
        np.testing.assert_array_equal(np.sort(by.ravel()), np.sort([*y.ravel(), *y_pseudo.ravel()]))


def test_rounded_probabilities_are_probabilities():
    over = np.float32([[1.0000002, 0], [0.75, 0.25]])
    assert len(PseudoLabelMixer(over, over, over, over.astype("float16"), threshold=0.5).pool) == 2


GOOD = {
    "x": np.zeros((4, 2)),
    "y": np.eye(3)[[0, 1, 2, 0]],
    "x_pseudo": np.zeros((2, 2)),
    "y_pseudo": np.full((2, 3), 1 / 3),
}
BAD = {
    "all pseudo": ({"fraction": 1}, r"fraction=1 is not a share from 0 to 0\.95"),
    "nearly all pseudo": ({"fraction": np.nextafter(1, 0)}, r"fraction=.* from 0 to 0\.95"),
    "a share in words": ({"fraction": "0.25"}, r"fraction='0.25'"),
    "a weight in words": ({"pseudo_weight": "a"}, r"pseudo_weight='a'"),
    "a threshold in words": ({"threshold": "0.9"}, r"threshold='0.9' is not a probability"),
    "a negative share": ({"fraction": -0.1}, r"fraction=-0.1"),
    "no share": ({"fraction": float("nan")}, r"fraction=nan"),
    "half a row": ({"batch_size": 2.5}, r"batch_size=2.5 is not a whole number of at least 1"),
    "no rows": ({"batch_size": 0}, r"batch_size=0"),
    "a negative seed": ({"seed": -1}, r"seed=-1"),
    "epoch -1": ({"initial_epoch": -1}, r"initial_epoch=-1"),
    "lengths": ({"y": np.eye(3)}, r"x has 4 rows and y the shape \(3, 3\)"),
    "lengths of the pool": ({"y_pseudo": np.eye(3)}, r"x_pseudo has 2 rows and y_pseudo the shape"),
    "no labelled rows": ({"x": np.zeros((0, 2)), "y": np.zeros((0, 3))}, "no labelled rows"),
    "hard beside soft": ({"y": np.arange(4) % 3}, r"y has the shape \(4,\) and y_pseudo \(2, 3\)"),
    "classes beside fractions": (
        {"y": np.arange(4), "y_pseudo": np.array([0.1, 0.8])},
        r"y holds classes from 0 to 3 and y_pseudo holds probabilities from 0.1 to 0.8\. Give",
    ),
    "logits": (
        {"y_pseudo": np.array([[5.0, -2, 9], [0, 1, 2]])},
        r"y_pseudo of the shape \(2, 3\) holds values from -2 to 9.*Of logits, the softmax is",
    ),
    "labels that are no numbers": ({"y": np.full((4, 3), np.nan)}, r"y holds NaN"),
    "pseudo-labels that are none": ({"y_pseudo": np.full((2, 3), np.inf)}, r"y_pseudo holds NaN"),
    "names": ({"y": np.array(list("abcd"))[:, None].repeat(3, 1)}, r"y is of the type <U1"),
    "objects": ({"y_pseudo": np.full((2, 3), None)}, r"y_pseudo is of the type object"),
    "other columns": ({"x_pseudo": np.zeros((2, 5))}, r"Rows of x have the shape \(2,\).*\(5,\)"),
    "two inputs": ({"x": (np.zeros(4), np.zeros(4))}, r"x is a tuple.*several inputs"),
    "a list": ({"x_pseudo": [[0, 0], [0, 0]]}, r"x_pseudo is a list"),
    "a generator": ({"x": (i for i in range(4))}, r"x is a generator: it has no length"),
    "an empty pool": (
        {"x_pseudo": np.zeros((0, 2)), "y_pseudo": np.zeros((0, 3))},
        r"pool of pseudo-labelled rows is empty: of 0 rows",
    ),
    "nobody confident": ({"threshold": 0.9}, r"of 2 rows none has a probability of threshold=0.9"),
    "no probability": ({"threshold": 90}, r"threshold=90 is not a probability"),
    "confidence of classes": (
        {"threshold": 0.9, "y": np.arange(4) % 2, "y_pseudo": np.array([0, 1])},
        r"threshold=0.9 needs probabilities in y_pseudo; received classes, of type int",
    ),
    "confidence of class numbers": (
        {"threshold": 0.9, "y": np.arange(4.0), "y_pseudo": np.array([0.0, 2.0])},
        r"threshold=0.9 needs probabilities in y_pseudo; received classes, of type float64",
    ),
    "confidence of one-hot classes": (
        {"threshold": 0.9, "y_pseudo": np.eye(3)[:2]},
        r"threshold=0.9 needs probabilities",
    ),
    "a negative weight": ({"pseudo_weight": -1}, r"pseudo_weight=-1"),
    "an endless weight": ({"pseudo_weight": np.inf}, r"pseudo_weight=inf"),
    "half of the files": ({"pseudo_files": ["a"]}, r"both pseudo_files and validation_files"),
    "files of other rows": (
        {"pseudo_files": ["a"], "validation_files": ["b"]},
        r"pseudo_files names 1 files, x_pseudo has 2 rows",
    ),
    "overlap": (
        {"pseudo_files": ["a/1.jpg", "a/2.jpg"], "validation_files": ["/data/a/2.jpg"]},
        r"1 files are in the pool and in the validation set, such as a.2\.jpg",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    changes, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        PseudoLabelMixer(**GOOD | changes)


def test_a_data_frame_is_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="x is a DataFrame"):
        PseudoLabelMixer(**GOOD | {"x": pandas.DataFrame(GOOD["x"])})


def test_overlap_is_of_files_not_of_names():
    check_no_overlap(["test/1.jpg", "test/2.jpg"], ["train/1.jpg", "train/2.jpg"])
    check_no_overlap([], ["train/1.jpg"])
    check_no_overlap(["c0/img_1.jpg"], ["c0/img_11.jpg", "xc0/img_1.jpg"])
    check_no_overlap(["../a/1.jpg"], ["../b/1.jpg", "/a/../c/1.jpg"])
    for pseudo, validation in (
        (["train/c0/img_1.jpg"], ["/data/train/c0/img_1.jpg"]),
        (["/data/train/c0/img_1.jpg"], ["c0/img_1.jpg"]),
        (["img_1.jpg"], ["img_1.jpg"]),
        (["/w/data/c0/1.jpg"], ["../data/c0/1.jpg"]),
        (["/w/data/c0/1.jpg"], ["../../w/./data/c1/../c0/1.jpg"]),
        (["c0\\1.jpg"], ["c0/1.jpg"]),
        (["C:\\data\\c0\\1.jpg"], ["c0/1.jpg"]),
    ):
        with pytest.raises(ValueError, match="in the pool and in the validation set"):
            check_no_overlap(pseudo, validation)
