"""Batches from disk: what `fit` really gets, file by file, epoch by epoch."""

import gc
import time
import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from utils.images import Augmentation, ImageBatches, load_images

SIZE = (6, 8)
PLANTED = "interrupted"
pytestmark = pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return 23 images; number i is grey 10 i all over."""
    folder = tmp_path_factory.mktemp("grey")
    paths = [folder / f"{number}.png" for number in range(23)]
    for number, path in enumerate(paths):
        Image.new("RGB", (16, 12), (10 * number,) * 3).save(path)
    return paths


SEEN = []  # by a watched network: for each epoch its batches, lists of label and mean grey level


def watched():
    """Return a network that notes the batches it is trained on."""

    def noted(numbers, greys):
        try:
            pairs = zip(np.asarray(numbers)[:, 0], np.asarray(greys)[:, 0], strict=True)
        except Exception:  # JAX and Keras first trace it with symbols
            return keras.ops.mean(greys)
        SEEN[-1].append([(int(number), round(float(grey), 3)) for number, grey in pairs])
        return keras.ops.mean(greys)

    model = keras.Sequential([keras.Input((*SIZE, 3)), layers.GlobalAveragePooling2D()])
    model.compile("sgd", noted, run_eagerly=True)
    return model


def watched_fit(batches, model=None, **options):
    """Fit a network, by default a new one, and return what it saw, epoch by epoch."""
    SEEN.clear()
    begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: SEEN.append([]))
    (model or watched()).fit(batches, verbose=0, callbacks=[begin], **options)
    return list(SEEN)


@pytest.fixture(scope="module")
def model():
    return watched()


def by_hand(batches, epochs):
    """Return the same, walking through the batches by hand."""
    seen = []
    for epoch in epochs:
        batches.epoch = epoch
        seen.append(
            [
                [(int(n[0]), round(float(g), 3)) for n, g in zip(y, x.mean((1, 2, 3)), strict=True)]
                for x, y in batches
            ]
        )
    return seen


def make(files, n=23, **options):
    options = {"size": SIZE, "batch_size": 5, "shuffle": True, "seed": 3} | options
    return ImageBatches(files[:n], np.arange(n)[:, None], **options)


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize(("n", "batch_size"), [(13, 5), (8, 4), (4, 64), (3, 1)])
def test_fit_gets_each_file_once_an_epoch(files, n, batch_size, workers):
    options = {"n": n, "batch_size": batch_size}
    batches = make(files, **options, workers=workers)
    epochs = watched_fit(batches, epochs=2)  # of a new network, fit looks at a batch to build it
    for epoch in epochs:
        rows = sorted(row for batch in epoch for row in batch)
        assert rows == [(number, 10.0 * number) for number in range(n)]  # with its own label
        assert len(epoch) == -(-n // batch_size)
    expected = by_hand(make(files, **options), range(2))
    # which rows share a batch is the batches' own doing, in what order fit takes them, fit's
    assert [sorted(epoch) for epoch in epochs] == [sorted(epoch) for epoch in expected]
    assert expected[0] != expected[1] and batches.epoch == 2


@pytest.mark.parametrize("n", [23, 4])  # five batches an epoch, and one
def test_a_training_goes_on_where_it_was(files, n, model):
    whole = watched_fit(make(files, n), epochs=4, shuffle=False)
    assert whole == by_hand(make(files, n), range(4))
    batches = make(files, n)
    first = watched_fit(batches, model, epochs=2, shuffle=False)
    rest = watched_fit(batches, model, epochs=4, initial_epoch=2, shuffle=False)
    assert whole == first + rest
    batches = make(files, n, initial_epoch=2)
    assert watched_fit(batches, epochs=4, initial_epoch=2, shuffle=False) == whole[2:]


def test_evaluate_and_predict_leave_the_epoch_alone(files, model):
    whole = by_hand(make(files), range(4))
    batches = make(files)
    seen = watched_fit(batches, model, epochs=1, shuffle=False)
    SEEN.append([])
    model.evaluate(batches, verbose=0)
    first = model.predict(batches, verbose=0)
    assert np.array_equal(first, model.predict(batches, verbose=0)) and batches.epoch == 1
    # nor does it matter that it is its own validation set
    seen += watched_fit(batches, model, epochs=2, shuffle=False, validation_data=batches)
    assert [epoch[:5] for epoch in seen] == whole[:3] and batches.epoch == 3
    with pytest.raises(ValueError, match=r"epoch=-1 is not a whole number of at least 0"):
        batches.epoch = -1


def test_an_interrupted_epoch_is_begun_again(files, model):
    def stop(number, logs):
        if number == 1:
            raise ArithmeticError(PLANTED)

    batches = make(files)
    SEEN.append([])
    with pytest.raises(ArithmeticError, match=PLANTED):
        model.fit(batches, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_batch_end=stop)])
    seen = watched_fit(batches, model, epochs=2, shuffle=False)
    assert seen == by_hand(make(files), range(2))


def test_orders_differ_by_seed_and_without_shuffling_not_at_all(files):
    assert by_hand(make(files, seed=1), [0]) != by_hand(make(files, seed=2), [0])
    batches = make(files, shuffle=False)
    plain = by_hand(batches, [0])
    assert plain == by_hand(batches, [5])
    assert [row[0] for batch in plain[0] for row in batch] == list(range(23))
    model = keras.Sequential([keras.Input((*SIZE, 3)), layers.GlobalAveragePooling2D()])
    predicted = model.predict(ImageBatches(files, size=SIZE, batch_size=5), verbose=0)
    np.testing.assert_allclose(predicted[:, 0], 10 * np.arange(23), rtol=1e-6)


def test_rows_tell_which_files_a_batch_holds(files):
    batches = make(files)
    for number, (images, labels) in enumerate(batches):
        rows = batches.rows(number)
        assert images.shape == (len(rows), *SIZE, 3) and images.dtype == np.float32
        assert labels[:, 0].tolist() == rows.tolist()
        loaded = load_images([batches.paths[row] for row in rows], SIZE)
        assert np.array_equal(images, loaded)
    with pytest.raises(IndexError):
        batches[len(batches)]


AUGMENT = {"width_shift": 0.3, "rotation": 30, "channel_shift": 30}


def test_augmentation_depends_on_seed_epoch_and_row_alone(files):
    def images(epoch=0, **options):
        options = {"n": 8, "batch_size": 4, "augment": Augmentation(**AUGMENT)} | options
        batches = make(files, **options)
        batches.epoch = epoch
        found = {}
        for number in reversed(range(len(batches))):
            found |= dict(zip(batches.rows(number).tolist(), batches[number][0], strict=True))
        return np.stack([found[row] for row in range(8)])

    reference = images()
    for options in ({"shuffle": False}, {"workers": 0}):  # other files beside it in a batch
        np.testing.assert_allclose(images(**options), reference, atol=1e-3)
    for options in ({"seed": 4}, {"epoch": 1}):
        assert abs(images(**options) - reference).mean() > 1
    assert abs(reference - load_images(files[:8], SIZE)).mean() > 1


def test_fit_gets_augmented_images(files, model):
    batches = make(files, n=20, batch_size=4, augment=Augmentation(channel_shift=30))
    epochs = watched_fit(batches, model, epochs=1)
    shifts = [grey - 10 * number for batch in epochs[0] for number, grey in batch]
    assert len(shifts) == 20 and np.std(shifts) > 5


# ---- files that cannot be read ----


@pytest.fixture
def broken(files, tmp_path):
    paths = [tmp_path / path.name for path in files[:6]]
    for path, original in zip(paths, files, strict=False):
        path.write_bytes(original.read_bytes())
    paths[1].write_bytes(b"")
    paths[4].write_bytes(paths[4].read_bytes()[:45])
    return paths


def test_unreadable_files_are_refused_before_the_first_batch(broken):
    with pytest.raises(ValueError, match=r"2 files .*1\.png \(empty\); .*4\.png \(.*on_unreadable"):
        make(broken, n=6)


def test_or_skipped_with_their_labels(broken):
    batches = make(broken, n=6, on_unreadable="skip", batch_size=2)
    assert len(batches) == 2 and batches.labels[:, 0].tolist() == [0, 2, 3, 5]
    assert batches.skipped == [str(broken[1]), str(broken[4])]
    assert batches.report.counts["empty"] == 1
    seen = watched_fit(batches, epochs=1)
    assert sorted(row for batch in seen[0] for row in batch) == [
        (number, 10.0 * number) for number in (0, 2, 3, 5)
    ]
    with pytest.raises(ValueError, match="None of 2 files"):
        ImageBatches([broken[1], broken[4]], size=SIZE, on_unreadable="skip")


@pytest.mark.parametrize("on_unreadable", ["refuse", "skip"])
@pytest.mark.parametrize("fault", [Path.unlink, lambda path: path.write_bytes(b"GIF89a")])
def test_a_file_that_breaks_later_is_named(broken, on_unreadable, fault):
    paths = [broken[number] for number in (0, 2, 3)]
    batches = make(paths, n=3, on_unreadable=on_unreadable)
    fault(paths[1])
    with pytest.raises(Exception, match=r"2\.png could be read before training"):
        watched_fit(batches, epochs=1)
    with pytest.raises(OSError, match=r"2\.png could be read before training"):
        batches[0]


# ---- memory ----


def test_no_more_than_a_few_batches_are_in_memory(files):
    batches = ImageBatches(files * 6, size=(48, 64), batch_size=6)  # 23 batches
    one = 6 * 48 * 64 * 3 * 4
    gc.collect()
    tracemalloc.start()
    for _ in batches:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * one


def test_fit_asks_for_few_batches_in_advance(files, monkeypatch):
    batches = make(files * 2, n=46, batch_size=1)
    asked, ahead = [], []
    read = ImageBatches.__getitem__

    def watched(self, index):
        asked.append(index)
        return read(self, index)

    monkeypatch.setattr(ImageBatches, "__getitem__", watched)
    model = keras.Sequential([keras.Input((*SIZE, 3)), layers.GlobalAveragePooling2D()])
    model.compile("sgd", "mse")

    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            ahead.append(len(asked) - batch - 1)
            time.sleep(0.003)

    model.fit(batches, verbose=0, callbacks=[Slow()])
    assert max(ahead) < 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"size": 224}, "size=224: must be"),
        ({"seed": -1}, "seed=-1"),
        ({"initial_epoch": 1.5}, "initial_epoch=1.5"),
        ({"on_unreadable": "ignore"}, "on_unreadable='ignore'"),
        ({"augment": layers.Rescaling(2)}, "must be a utils.images.Augmentation"),
        ({"workers": -2}, "workers=-2"),
    ],
)
def test_arguments_are_refused(files, options, message):
    with pytest.raises(ValueError, match=message):
        make(files, **options)


def test_numbers_may_be_numpys(files):
    one = np.int64(1)
    batches = make(files, n=4, batch_size=4 * one, seed=3 * one, initial_epoch=one, workers=4 * one)
    assert np.array_equal(batches[0][0], make(files, n=4, batch_size=4, initial_epoch=1)[0][0])


def test_labels_and_paths_have_to_be_as_many(files):
    with pytest.raises(ValueError, match=r"23 paths, but labels of shape \(22,\)"):
        ImageBatches(files, np.arange(22), size=SIZE)
    with pytest.raises(ValueError, match="sequence of files"):
        ImageBatches("a.jpg", size=SIZE)
