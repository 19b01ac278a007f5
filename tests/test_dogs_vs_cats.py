"""Dogs vs cats: the loader against layouts with one fault each; what is planted in the stand-in."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from utils import fetch, switches
from utils.datasets import load_dogs_vs_cats
from utils.kaggle import read_sample_submission
from utils.standins import dogs_vs_cats as generator

SAMPLE = "sample_submission.csv"
TRAIN = ["cat.0.jpg", "cat.1.jpg", "cat.10.jpg", "dog.2.jpg", "dog.0.JPG"]
ORDER = ["cat.0.jpg", "cat.1.jpg", "cat.10.jpg", "dog.0.JPG", "dog.2.jpg"]


def lay(folder, train=TRAIN, tests=(2, 10, 1)):
    """Lay out photographs as on Kaggle; no byte of them is a picture, for none is opened."""
    (folder / "train").mkdir(parents=True)
    (folder / "test").mkdir()
    for name in train:
        (folder / "train" / name).touch()
    for number in tests:
        (folder / "test" / f"{number}.jpg").touch()
    sample(folder, tests)
    return folder


def sample(folder, numbers, header="id,label"):
    lines = "".join(f"{number},0.5\n" for number in numbers)
    (folder / SAMPLE).write_text(f"{header}\n{lines}", encoding="utf-8")


def add(folder, *names):
    for name in names:
        (folder / name).touch()


@pytest.fixture
def layout(tmp_path):
    return lay(tmp_path)


# ---- the loader ----


def test_cats_then_dogs_by_number(layout):
    data = load_dogs_vs_cats(layout)
    assert data.files.tolist() == [f"train/{name}" for name in ORDER]
    assert data.label.tolist() == [0, 0, 0, 1, 1] and data.label.dtype == np.int32
    assert data.class_names == ("cat", "dog") and len(data) == 5
    assert data.test_files.tolist() == ["test/2.jpg", "test/10.jpg", "test/1.jpg"]
    assert data.sample_submission == layout / SAMPLE
    assert (data.source, data.edition, data.folder) == ("real", "other", layout)
    assert repr(data) == "PetImages: 3 cats, 2 dogs, 3 unlabelled (real, edition other)"


def test_paths_lead_to_the_files(layout):
    data = load_dogs_vs_cats(layout)
    assert all(map(os.path.isfile, data.paths() + data.test_paths()))
    assert [Path(path).name for path in data.paths()] == ORDER
    assert data.paths(data.label == 1) == data.paths(np.array([3, 4]))
    assert data.paths(np.zeros(5, bool)) == []


def test_the_test_part_is_optional(layout):
    (layout / SAMPLE).unlink()
    data = load_dogs_vs_cats(layout)
    assert data.sample_submission is None
    assert data.test_files.tolist() == ["test/1.jpg", "test/2.jpg", "test/10.jpg"]
    for file in data.test_paths():
        Path(file).unlink()
    (layout / "test").rmdir()
    data = load_dogs_vs_cats(layout)
    assert data.test_files.tolist() == [] == data.test_paths()
    assert data.test_size.shape == (0, 2)


def test_other_files_are_no_photographs(layout):
    add(layout, "train/Thumbs.db", "train/.DS_Store", "train/._cat.0.jpg", "test/._1.jpg")
    data = load_dogs_vs_cats(layout)
    assert len(data) == 5 and len(data.test_files) == 3


def test_sizes_come_from_the_headers_when_asked_for(tmp_path):
    sizes = {"cat.0.jpg": (30, 40), "cat.1.jpg": (50, 20), "dog.0.jpg": (8, 9)}
    lay(tmp_path, sizes, (1,))
    for name, (height, width) in sizes.items():
        Image.new("RGB", (width, height)).save(tmp_path / "train" / name)
    content = io.BytesIO()
    Image.new("RGB", (64, 48)).save(content, "JPEG")
    (tmp_path / "test" / "1.jpg").write_bytes(content.getvalue()[:-20])  # the header is enough
    data = load_dogs_vs_cats(tmp_path)
    assert data.size.tolist() == [[30, 40], [50, 20], [8, 9]] and data.size.dtype == np.int32
    assert data.test_size.tolist() == [[48, 64]]
    (tmp_path / "train" / "dog.0.jpg").unlink()
    assert data.size[2, 1] == 9, "read once"


def test_a_file_that_is_no_image_is_named_when_its_size_is_asked_for(layout):
    data = load_dogs_vs_cats(layout)
    with pytest.raises(ValueError, match=r"cat.0.jpg cannot be read as an image"):
        _ = data.size


def only(folder, kind):
    for path in (folder / "train").glob(f"{kind}*"):
        path.unlink()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda f: (f / "train").rename(f / "trian"), r"train is missing. Photographs lie in"),
        (lambda f: only(f, "cat"), r"train holds no cat.0.jpg, cat.1.jpg … Lay the photographs of"),
        (lambda f: only(f, "dog"), r"train holds no dog.0.jpg"),
        (
            lambda f: add(f, "train/bird.0.jpg"),
            r"train: bird.0.jpg is not called like cat.0.jpg or",
        ),
        (lambda f: add(f, "train/cat.x.jpg"), r"cat.x.jpg is not called like"),
        (lambda f: add(f, "train/cat.0 (1).jpg"), r"cat.0 \(1\).jpg is not called like"),
        (lambda f: add(f, "train/cat.01.jpg"), r"cat.01.jpg and cat.1.jpg have the same number"),
        (lambda f: add(f, "train/dog.2.png"), r"dog.2.jpg and dog.2.png have the same number"),
        (lambda f: add(f, "test/cat.1.jpg"), r"test: cat.1.jpg is not called like 1.jpg"),
        (lambda f: add(f, "test/3.jpg"), r"no line for test/3.jpg \(1 such photographs\)"),
        (lambda f: (f / "test/10.jpg").unlink(), r"there is no test/10.jpg. If an archive was"),
        (lambda f: sample(f, (2, 10, 1, 2)), r"2"),
        (lambda f: sample(f, (2, 10, 1), "id,dog"), r"columns id,dog; they have to be id,label"),
        (lambda f: sample(f, (2, 10, "a")), r"received the id 'a'. The id of test/1.jpg is 1"),
        (lambda f: sample(f, ()), SAMPLE),
    ],
)
def test_each_fault_is_named(layout, fault, message):
    fault(layout)
    with pytest.raises(ValueError, match=message) as caught:
        load_dogs_vs_cats(layout)
    assert str(layout) in str(caught.value)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        load_dogs_vs_cats(tmp_path / "nowhere")


def test_the_registry_finds_them_under_their_names(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path))
    assert fetch.locate("dogs_vs_cats") is None
    folder = lay(tmp_path / "dogs-vs-cats")
    assert fetch.locate("dogs_vs_cats") is None, "dog.0.JPG is not what Kaggle calls it"
    (folder / "train" / "dog.0.JPG").rename(folder / "train" / "dog.0.jpg")
    assert fetch.locate("dogs_vs_cats") == folder
    data = load_dogs_vs_cats()
    assert (data.source, data.edition[:6], data.folder) == ("real", "other ", folder)


@pytest.mark.real
def test_the_real_photographs():
    folder = fetch.locate("dogs_vs_cats")
    if folder is None:
        pytest.skip("no photographs in the data folder: python -m utils.fetch get dogs_vs_cats")
    data = load_dogs_vs_cats()
    assert data.source == "real" and data.folder == folder
    cats, dogs = np.bincount(data.label)
    assert cats == dogs and len(data) in (5_000, 25_000)
    assert data.files[:3].tolist() == [f"train/cat.{n}.jpg" for n in range(3)]
    assert data.files[cats - 1] == f"train/cat.{cats - 1}.jpg"
    if data.edition == "200x200":
        assert (data.size == 200).all()
    assert switches.data_folder() in folder.parents


# ---- the stand-in ----

EACH, TESTS = 300, 120


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A smaller one: its data, what was planted, and 16 × 16 pixels of each picture."""
    folder = tmp_path_factory.mktemp("standin") / "dogs-vs-cats-v1-tiny-seed3"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(generator.COUNTS, "tiny", (EACH, TESTS))
        planted = generator.write(folder, scale="tiny", seed=3)
    data = load_dogs_vs_cats(folder)
    pictures = [Image.open(path).convert("RGB") for path in data.paths() + data.test_paths()]
    small = [np.asarray(p.resize((16, 16), Image.Resampling.BILINEAR), float) for p in pictures]
    return data, planted, np.stack(small).reshape(len(small), -1)


def test_the_layout_is_that_of_kaggle(made):
    data, _, _ = made
    names = {path.relative_to(data.folder).as_posix() for path in data.folder.rglob("*.*")}
    expected = {f"train/{kind}.{n}.jpg" for kind in ("cat", "dog") for n in range(EACH)}
    expected |= {f"test/{n}.jpg" for n in range(1, TESTS + 1)}
    assert names == expected | {SAMPLE}
    read = read_sample_submission(data.sample_submission)
    assert read.columns == ("id", "label")
    assert read.ids == tuple(str(n) for n in range(1, TESTS + 1))
    text = data.sample_submission.read_bytes()
    assert text.startswith(b"id,label\n1,0.5\n2,0.5\n") and text.count(b"\n") == TESTS + 1
    for path in data.paths()[::100] + data.test_paths()[::50]:
        with Image.open(path) as picture:
            assert (picture.format, picture.mode) == ("JPEG", "RGB")


def test_the_loader_reads_what_was_planted(made):
    data, planted, _ = made
    train = planted["train"]
    assert data.files.tolist() == planted["file"][train].tolist()
    assert data.label.tolist() == planted["label"][train].tolist()
    assert data.test_files.tolist() == planted["file"][~train].tolist()
    np.testing.assert_array_equal(data.size, planted["size"][train])
    np.testing.assert_array_equal(data.test_size, planted["size"][~train])
    assert 0.35 < planted["label"][~train].mean() < 0.65


def test_the_size_tells_exactly_as_much_as_stated(made):
    _, planted, _ = made
    cats, dogs = np.array(list(generator.MIX.values())).T
    assert cats.sum() == dogs.sum() == 100
    assert np.maximum(cats, dogs).sum() / 200 == generator.BEST_BY_SIZE == 0.7
    assert planted["best_by_size"] == 0.7
    sizes = [generator.MIX[tuple(size)] for size in planted["size"].tolist()]
    np.testing.assert_allclose(planted["dog_given_size"], [d / (c + d) for c, d in sizes])
    assert generator.dog_given_size((84, 140)) == 19 / 23
    for label, mix in ((0, cats), (1, dogs)):  # drawn as stated
        chosen = planted["size"][planted["label"] == label]
        counts = [(chosen == size).all(1).sum() for size in generator.MIX]
        assert stats.chisquare(counts, mix / 100 * len(chosen)).pvalue > 1e-3
    right = (planted["dog_given_size"] > 0.5) == planted["label"]
    assert abs(right.mean() - 0.7) < 3.5 * np.sqrt(0.7 * 0.3 / len(right))


def test_nothing_but_shape_and_size_depends_on_the_kind(made):
    _, planted, _ = made
    label = planted["label"]
    for nuisance in ("coat", "pattern", "pose", "place"):
        table = [
            [(label[planted[nuisance] == value] == kind).sum() for kind in (0, 1)]
            for value in np.unique(planted[nuisance])
        ]
        assert len(table) > 1 and stats.chi2_contingency(table).pvalue > 1e-3, nuisance
    assert stats.ks_2samp(planted["scale"][label == 0], planted["scale"][label == 1]).pvalue > 1e-3
    for kind in (0, 1):  # and given the kind, size and looks are independent
        wide = (planted["size"][:, 1] > planted["size"][:, 0])[label == kind]
        scale = planted["scale"][label == kind]
        assert stats.ks_2samp(scale[wide], scale[~wide]).pvalue > 1e-3


def test_ears_are_the_usual_ones_mostly(made):
    _, planted, _ = made
    ears, label = planted["ears"], planted["label"]
    assert set(ears[label == 0]) == {"pointed", "folded"}
    assert set(ears[label == 1]) == {"hanging", "pricked"}
    assert 0.05 < (ears[label == 0] == "folded").mean() < 0.25
    assert 0.15 < (ears[label == 1] == "pricked").mean() < 0.35


def ridge_accuracy(x, y, train):
    """Fit one linear score on pixels; return the accuracy on the others."""
    x = x - x[train].mean(0)
    kernel = x[train] @ x[train].T / x.shape[1]
    weights = np.linalg.solve(kernel + 500 * np.eye(len(kernel)), 2.0 * y[train] - 1)
    scores = x[~train] @ (x[train].T @ weights)
    return ((scores > 0) == y[~train]).mean()


def test_a_linear_model_of_pixels_sees_little(made):
    _, planted, small = made
    accuracy = [
        ridge_accuracy(small, planted["label"], np.random.default_rng(s).random(len(small)) < 0.8)
        for s in range(5)
    ]
    assert np.mean(accuracy) < 0.7


@pytest.mark.slow
def test_a_small_convolution_network_sees_far_more():
    import keras
    from keras import layers

    from utils import standins
    from utils.images import load_images

    data = load_dogs_vs_cats(standins.make("dogs_vs_cats", scale="quick"))
    x = load_images(data.paths(), (40, 40)).astype("float32")
    train = np.random.default_rng(0).random(len(x)) < 0.8
    linear = ridge_accuracy(x.reshape(len(x), -1), data.label, train)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Input((40, 40, 3)), layers.Rescaling(1 / 128, -1)])
    for width in (12, 24, 48):
        model.add(layers.Conv2D(width, 3, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(layers.GlobalMaxPooling2D())
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x[train], data.label[train], batch_size=32, epochs=5, verbose=0)
    accuracy = model.evaluate(x[~train], data.label[~train], verbose=0)[1]
    assert linear < 0.7 and accuracy > 0.8
