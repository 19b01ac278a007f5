"""Features on disk: equal to the network's own, after any interruption, beside their names."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from utils.images import Augmentation, ImageBatches, extract_features, features, load_images
from utils.switches import PROJECT

SIZE = (6, 8)
PLANTED = "killed"


def network(scale=1.0, name=None, out=3):
    """Return a small network that gives the same outputs each time it is made."""
    inputs = keras.Input((*SIZE, 3))
    x = layers.Rescaling(scale / 255)(inputs)
    x = layers.Conv2D(out, 3, kernel_initializer=keras.initializers.GlorotUniform(seed=1))(x)
    return keras.Model(inputs, layers.AveragePooling2D(2)(x), name=name)


def write_images(folder, n):
    random = np.random.default_rng(0)
    paths = []
    for number in range(n):
        paths.append(folder / f"c{number % 2}" / f"img_{number}.png")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (*SIZE, 3)).astype(np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def files(tmp_path):
    return write_images(tmp_path / "imgs", 11)


@pytest.fixture(scope="module")
def model():
    return network()


def batches(files, **options):
    options = {"size": SIZE, "batch_size": 4, "labels": np.arange(len(files))} | options
    return ImageBatches(files, **options)


def outputs(model, files):
    return model.predict(load_images(files, SIZE).astype("float32"), verbose=0)


def test_rows_are_the_networks_outputs_in_the_order_of_the_files(model, files, tmp_path):
    found = extract_features(model, batches(files), tmp_path / "out")
    np.testing.assert_allclose(found.array, outputs(model, files), rtol=1e-5, atol=1e-6)
    assert isinstance(found.array, np.memmap) and not found.array.flags.writeable
    assert found.array.dtype == np.float32 and len(found) == 11
    assert found.names == tuple(f"c{number % 2}/img_{number}.png" for number in range(11))
    assert json.loads((tmp_path / "out" / "names.json").read_text()) == list(found.names)
    assert found.labels.tolist() == list(range(11))
    backwards = extract_features(model, batches(files[::-1]), tmp_path / "back")
    np.testing.assert_allclose(backwards.array[::-1], found.array, rtol=1e-5, atol=1e-6)
    assert backwards.names == found.names[::-1]


def test_the_second_call_computes_nothing(model, files, tmp_path, monkeypatch):
    first = extract_features(model, batches(files), tmp_path / "out")
    monkeypatch.setattr(features, "_predict", None)
    again = extract_features(network(name="another"), batches(files, batch_size=3), first.folder)
    assert np.array_equal(first.array, again.array)


def test_files_may_move_together(model, files, tmp_path, monkeypatch):
    first = extract_features(model, batches(files), tmp_path / "out")
    (tmp_path / "imgs").rename(tmp_path / "elsewhere")
    moved = [tmp_path / "elsewhere" / file.parent.name / file.name for file in files]
    monkeypatch.setattr(features, "_predict", None)
    assert extract_features(model, batches(moved), tmp_path / "out").names == first.names


def test_skipped_files_leave_no_row(model, files, tmp_path):
    files[2].write_bytes(b"")
    found = extract_features(model, batches(files, on_unreadable="skip"), tmp_path / "out")
    assert len(found) == 10 and found.labels.tolist() == [0, 1, *range(3, 11)]
    assert "c0/img_2.png" not in found.names
    good = files[:2] + files[3:]
    np.testing.assert_allclose(found.array, outputs(model, good), rtol=1e-5, atol=1e-6)


def test_augmented_copies_follow_the_plain_rows(model, files, tmp_path):
    files = files[:8]
    options = {"augment": Augmentation(rotation=40, channel_shift=40), "seed": 1}
    plain = extract_features(model, batches(files), tmp_path / "plain")
    found = extract_features(model, batches(files, **options), tmp_path / "a", augmented_copies=2)
    assert found.array.shape == (24, *plain.array.shape[1:]) and found.copies == 2
    np.testing.assert_allclose(found.array[:8], plain.array, rtol=1e-5, atol=1e-6)
    assert found.names == plain.names * 3 and found.labels.tolist() == [*range(8)] * 3
    for copy in (1, 2):
        again = batches(files, **options)
        again.epoch = copy
        expected = np.concatenate([model.predict_on_batch(images) for images, _ in again])
        rows = found.array[copy * 8 : (copy + 1) * 8]
        np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4)
        assert abs(rows - plain.array).mean() > 0.01


def test_half_precision_halves_the_file(model, files, tmp_path):
    half = extract_features(model, batches(files), tmp_path / "half", dtype="float16")
    assert half.array.dtype == np.float16
    np.testing.assert_allclose(half.array, outputs(model, files), rtol=2e-3, atol=1e-4)


# ---- interruptions ----


def test_cut_at_any_byte_it_goes_on_to_the_same_file(model, files, tmp_path, monkeypatch):
    whole = extract_features(model, batches(files), tmp_path / "whole")
    content = (whole.folder / "features.npy").read_bytes()
    folder = tmp_path / "cut"
    folder.mkdir()
    for name in ("record.json", "names.json"):
        (folder / name).write_bytes((whole.folder / name).read_bytes())
    predict, calls = features._predict, []
    monkeypatch.setattr(features, "_predict", lambda *a: calls.append(1) or predict(*a))
    row = whole.array[0].nbytes
    start = len(content) - 11 * row
    for length in [
        0,
        1,
        start - 1,
        start,
        start + 1,
        start + row,
        start + 4 * row - 1,
        start + 4 * row,
        start + 9 * row + 5,
        len(content) - 1,
        len(content),
    ]:
        (folder / "features.npy.part").write_bytes(content[:length])
        calls.clear()
        found = extract_features(model, batches(files), folder)
        np.testing.assert_allclose(found.array, whole.array, rtol=1e-5, atol=1e-6)
        done = max(0, (length - start) // row)
        assert len(calls) == -(-(11 - done) // 4)  # and nothing twice
        (folder / "features.npy").unlink()


def test_an_error_loses_no_finished_batch(model, files, tmp_path, monkeypatch):
    predict, calls = features._predict, []

    def third_fails(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError(PLANTED)
        return predict(*arguments)

    monkeypatch.setattr(features, "_predict", third_fails)
    with pytest.raises(MemoryError, match=PLANTED):
        extract_features(model, batches(files), tmp_path / "out")
    assert not (tmp_path / "out" / "features.npy").exists()
    found = extract_features(model, batches(files), tmp_path / "out")
    assert len(calls) == 4  # the third once more
    np.testing.assert_allclose(found.array, outputs(model, files), rtol=1e-5, atol=1e-6)


CHILD = """
import os, random, signal, sys, threading
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_images_features import batches, features, network
from utils.images import extract_features

files = sorted(Path({imgs!r}).glob("*/*.png"))
predict, left = features._predict, [{left}]

def dying(*arguments):
    left[0] -= 1
    if left[0] < 0:  # while rows are on their way to the disk
        threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return predict(*arguments)

features._predict = dying
extract_features(network(), batches(files, batch_size=2), {out!r})
"""


@pytest.mark.slow
def test_killed_children_are_survived(tmp_path):
    files = sorted(write_images(tmp_path / "imgs", 300))
    lengths = []
    for left, delay in [(0, 0.0), (1, 0.002), (30, 0.001), (17, 0.0), (10_000, 0)]:
        code = CHILD.format(
            tests=str(PROJECT / "tests"),
            imgs=str(tmp_path / "imgs"),
            out=str(tmp_path / "out"),
            left=left,
            delay=delay,
        )
        path = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
        child = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, timeout=300
        )
        assert child.returncode == (0 if left == 10_000 else -signal.SIGKILL)
        found = [*Path(tmp_path / "out").glob("features.npy*")]
        lengths.append(found[0].stat().st_size if found else 0)
    assert lengths == sorted(lengths)
    found = extract_features(network(), batches(files), tmp_path / "out")
    np.testing.assert_allclose(found.array, outputs(network(), files), rtol=1e-5, atol=1e-6)


def test_of_two_callers_one_computes_and_the_other_waits(model, files, tmp_path, monkeypatch):
    predict, callers, found = features._predict, [], {}

    def call(who):
        found[who] = extract_features(model, batches(files), tmp_path / "out")

    second = threading.Thread(target=call, args=["second"])

    def at_the_first_batch(*arguments):
        callers.append(threading.current_thread())
        if len(callers) == 1:
            second.start()
            second.join(0.3)  # time for it to meddle
        return predict(*arguments)

    monkeypatch.setattr(features, "_predict", at_the_first_batch)
    call("first")
    second.join()
    assert len(callers) == 3 and second not in callers
    for who in ("first", "second"):
        expected = outputs(model, files)
        np.testing.assert_allclose(found[who].array, expected, rtol=1e-5, atol=1e-6)


def test_without_a_lock_a_second_writer_is_noticed(model, files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    predict, calls = features._predict, []

    def beside_another(*arguments):
        calls.append(1)
        if len(calls) == 2:
            with (tmp_path / "out" / "features.npy.part").open("ab") as part:
                part.write(bytes(400))
        return predict(*arguments)

    monkeypatch.setattr(features, "_predict", beside_another)
    with pytest.raises(ValueError, match=r"Another process writes features into .*out too"):
        extract_features(model, batches(files), tmp_path / "out")
    assert not (tmp_path / "out" / "features.npy").exists()
    found = extract_features(model, batches(files), tmp_path / "out")  # and nothing mixed is kept
    np.testing.assert_allclose(found.array, outputs(model, files), rtol=1e-5, atol=1e-6)


def _other_shape(content):
    return content.replace(b"(11, ", b"(10, ")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content + b"x",
        lambda content: content[:-1],
        lambda content: content[:20],
        lambda content: b"",
        _other_shape,
        lambda content: content.replace(b"<f4", b"<i4"),
    ],
)
def test_a_file_of_another_length_is_neither_taken_nor_finished(model, files, tmp_path, damage):
    folder = extract_features(model, batches(files), tmp_path / "out").folder
    whole = (folder / "features.npy").read_bytes()
    assert damage(whole) != whole
    (folder / "features.npy").write_bytes(damage(whole))
    with pytest.raises(ValueError, match=r"features\.npy is damaged.*Delete the folder"):
        extract_features(model, batches(files), folder)


def test_more_rows_than_there_are_do_not_make_a_file(model, files, tmp_path):
    found = extract_features(model, batches(files), tmp_path / "out")
    whole = (found.folder / "features.npy").read_bytes()
    (found.folder / "features.npy").unlink()
    (found.folder / "features.npy.part").write_bytes(whole + found.array[:1].tobytes())
    with pytest.raises(ValueError, match=r"features\.npy\.part is damaged"):
        extract_features(model, batches(files), found.folder)
    assert not (found.folder / "features.npy").exists()


# ---- what a model is known by ----


def activated(activation, name=None, policy="float32"):
    inputs = keras.Input((*SIZE, 3), name=f"{name}_in" if name else None)
    x = layers.Activation(activation, name=name, dtype=policy)(inputs)
    return keras.Model(inputs, layers.Flatten()(x))


def digest(model):
    return features._digest_of_model(model)


def test_names_of_layers_do_not_count_and_all_else_does():
    assert digest(activated("relu")) == digest(activated("relu", "relu"))
    assert digest(activated("relu", "relu")) == digest(activated("relu", "linear"))
    assert digest(activated("relu", "relu")) != digest(activated("linear", "linear"))
    half = activated("relu", "float16", policy="float16")
    assert digest(half) != digest(activated("relu", "float32"))
    inputs = [keras.Input((4,)) for _ in range(2)]
    one, other = (keras.Model(inputs, layers.Subtract()(i)) for i in (inputs, inputs[::-1]))
    assert digest(one) != digest(other)


def test_records_of_ordinary_models_stay_valid(model):
    """Folders on disk were made when every text equal to a layer's name was replaced."""

    def as_before(model):
        places = {layer.name: place for place, layer in enumerate(model._flatten_layers())}

        def anonymous(thing):
            if isinstance(thing, dict):
                return {key: anonymous(value) for key, value in thing.items()}
            if isinstance(thing, (list, tuple)):
                return [anonymous(value) for value in thing]
            return places.get(thing, thing) if isinstance(thing, str) else thing

        config = json.dumps(anonymous(model.get_config()), sort_keys=True, default=repr)
        digest = hashlib.sha256(hashlib.sha256(config.encode()).hexdigest().encode())
        for weight in model.get_weights():
            digest.update(str((weight.dtype, weight.shape)).encode() + weight.tobytes())
        return digest.hexdigest()

    sequential = keras.Sequential([keras.Input((*SIZE, 3)), layers.BatchNormalization()])
    nested = keras.Sequential([keras.Input((*SIZE, 3)), network(), layers.Flatten()])
    for ordinary in (
        model,
        sequential,
        nested,
        activated("relu"),
    ):
        assert digest(ordinary) == as_before(ordinary)


# ---- refusals ----


def test_a_folder_of_another_making_is_refused(model, files, tmp_path):
    jitter = {"augment": Augmentation(rotation=5), "seed": 1}
    folder = tmp_path / "out"
    extract_features(model, batches(files, **jitter), folder, augmented_copies=1)
    trained = network()
    trained.set_weights([weight + 1e-3 for weight in trained.get_weights()])

    def refuses(what, model=model, files=files, copies=1, dtype="float32", **options):
        with pytest.raises(ValueError, match=rf"out was made with other settings: its {what} diff"):
            extract_features(
                model,
                batches(files, **jitter | options),
                folder,
                augmented_copies=copies,
                dtype=dtype,
            )

    refuses("model", model=trained)
    refuses("model", model=network(scale=2.0))  # other preprocessing, same weights
    refuses("files", files=files[::-1])
    refuses("files, shape", files=files[:-1])
    refuses("augmented_copies, shape", copies=2)
    refuses("dtype", dtype="float16")
    refuses("augmentation", seed=2)
    refuses("augmentation", augment=Augmentation(rotation=6))
    Image.new("RGB", (30, 30), "red").save(files[3])
    refuses("files")


def test_another_size_is_refused(files, tmp_path):
    inputs = keras.Input((None, None, 3))
    anywhere = keras.Model(inputs, layers.GlobalAveragePooling2D()(inputs))
    extract_features(anywhere, batches(files), tmp_path / "out")
    with pytest.raises(ValueError, match="its size differ"):
        extract_features(anywhere, batches(files, size=(8, 8)), tmp_path / "out")


def test_features_of_unknown_making_are_refused(model, files, tmp_path):
    np.save(tmp_path / "features.npy", np.zeros(3))
    with pytest.raises(ValueError, match="without a record"):
        extract_features(model, batches(files), tmp_path)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({"shuffle": True}, {}, "slip|shuffle=False"),
        ({}, {"augmented_copies": 1}, "give both or neither"),
        ({"augment": Augmentation(rotation=5)}, {}, "give both or neither"),
        ({}, {"augmented_copies": -1}, "augmented_copies=-1"),
        ({}, {"dtype": "float64"}, "dtype='float64'"),
    ],
)
def test_arguments_are_refused(model, files, tmp_path, options, arguments, message):
    with pytest.raises(ValueError, match=message):
        extract_features(model, batches(files, **options), tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_outputs_that_are_no_numbers_are_refused(files, tmp_path):
    loud = network(scale=1e9)
    with pytest.raises(ValueError, match=r'float16\. Use dtype="float32"'):
        extract_features(loud, batches(files), tmp_path / "half", dtype="float16")
    assert not (tmp_path / "half" / "features.npy").exists()


def test_only_image_batches_and_one_output(model, files, tmp_path):
    with pytest.raises(ValueError, match="must be ImageBatches"):
        extract_features(model, load_images(files, SIZE), tmp_path / "out")
    inputs = keras.Input((*SIZE, 3))
    two = keras.Model(inputs, [inputs, layers.Flatten()(inputs)])
    with pytest.raises(ValueError, match="must be one of a known shape"):
        extract_features(two, batches(files), tmp_path / "out")
