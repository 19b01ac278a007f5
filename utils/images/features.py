"""What a network makes of images, computed once, kept on disk beside the files' names."""

import hashlib
import io
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils._atomic import alone_in
from utils._whole_numbers import whole_number
from utils.images.batches import ImageBatches

__all__ = ["Features", "extract_features"]

# where a model's config names its layers; elsewhere "relu" is no layer, even if one is called so
NAMES = {"name", "keras_history", "input_layers", "output_layers"}


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """Outputs of a network, row by row, with the files they come from.

    Attributes
    ----------
    array : numpy.ndarray
        (rows, …), mapped from disk, read-only: only what is used is read.
    names : tuple of str
        (rows,): the file of each row, relative to the files' common folder.
    labels : numpy.ndarray or None
        (rows, …): the label of each row.
    copies : int
        After the n rows of the plain images come `copies` times n of augmented ones.
    folder : pathlib.Path
        Where they lie.
    """

    array: np.ndarray
    names: tuple
    labels: np.ndarray | None
    copies: int
    folder: Path

    def __len__(self):
        return len(self.array)

    def __repr__(self):
        return f"Features: {self.array.shape} {self.array.dtype} in {self.folder}"


def extract_features(model, batches, folder, *, augmented_copies=0, dtype="float32", progress=iter):
    """Put all images through a network once, and keep its outputs on disk.

    Stopped or killed at any moment, it goes on where it was when called again: at most one batch
    is lost. Called when all is there, it computes nothing. A folder that was made for another
    model, other files, another size or augmentation is refused. Of two callers of one folder,
    the second waits and finds the work done.

    Files are known by their names and sizes in bytes, not by their contents, which would have
    to be read for it: a picture that was replaced by another one of the same name and size goes
    unnoticed. Delete the folder after such a change.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, with one input and one output, preprocessing included.
    batches : ImageBatches
        The files in their own order (`shuffle=False`), so that row i is file i.
    folder : path
        Gets features.npy, names.json and record.json.
    augmented_copies : int
        How often to add the whole set again, each time as `batches.augment` draws it anew. The
        plain images come first.
    dtype : {"float32", "float16"}
        On disk; float16 takes half the space and keeps three decimal digits.
    progress : callable
        Takes the list of steps and returns it to walk through, such as `lesson.steps` or `tqdm`.

    Returns
    -------
    Features

    Raises
    ------
    ValueError
        If `batches` shuffles, `batches.augment` and `augmented_copies` do not go together, the
        model has several outputs or one of unknown shape, an output is not finite, or the
        folder holds something else or a file of another length; the message says what.
    OSError
        If an image can no longer be read, or the disk is full.

    Notes
    -----
    The course's notebook once forgot to turn shuffling off, and its features and labels slipped
    apart (fast.ai, Practical Deep Learning for Coders 1 (v1), State Farm).
    """
    _check_arguments(batches, augmented_copies, dtype)
    folder, n = Path(folder), len(batches.paths)
    shape = _output_shape(model, batches.size)
    rows = n * (1 + augmented_copies)
    files = [Path(os.path.abspath(path)) for path in batches.paths]  # noqa: PTH100 - links stay
    common = os.path.commonpath([file.parent for file in files])
    names = [file.relative_to(common).as_posix() for file in files]
    record = {
        "model": _digest_of_model(model),
        "files": _digest([names, [file.stat().st_size for file in files]]),
        "size": list(batches.size),
        "augmentation": _augmentation(batches) if augmented_copies else None,
        "augmented_copies": augmented_copies,
        "shape": [rows, *shape],
        "dtype": dtype,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder, wait=True, doing="computing features in"):
        _open_folder(folder, record, names)
        if not (folder / "features.npy").exists():
            _compute(model, batches, folder, record, progress)
    array = _mapped(folder / "features.npy", record)
    labels = batches.labels
    if labels is not None:
        labels = np.concatenate([labels] * (1 + augmented_copies))
    return Features(array, tuple(names * (1 + augmented_copies)), labels, augmented_copies, folder)


def _compute(model, batches, folder, record, progress):
    """Append batch after batch to a file whose length says how far it has come."""
    rows, *shape = record["shape"]
    n, dtype = len(batches.paths), np.dtype(record["dtype"])
    header = io.BytesIO()
    description = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        header, {"descr": description, "fortran_order": False, "shape": (rows, *shape)}
    )
    header, row_bytes = header.getvalue(), dtype.itemsize * math.prod(shape)
    part = folder / "features.npy.part"
    with part.open("ab") as file:
        done = (file.tell() - len(header)) // row_bytes  # a row that was cut off does not count
        if done < 0:
            done = 0
            file.truncate(0)
            file.write(header)
        written = len(header) + done * row_bytes
        file.truncate(written)
        steps = [
            (copy, np.arange(n)[start : min(start + batches.batch_size, n)])
            for copy in range(rows // n)
            for start in range(max(0, done - copy * n), n, batches.batch_size)
        ]
        for images in progress(_Ahead(batches, steps)):
            with np.errstate(over="ignore"):  # refused below
                output = _predict(model, images, batches.batch_size).astype(dtype)
            if not np.isfinite(output).all():
                raise ValueError(
                    f"An output of the model is infinite or NaN as {dtype}."
                    + (' Use dtype="float32".' if dtype == np.float16 else "")
                )
            file.write(output.tobytes())
            file.flush()
            os.fsync(file.fileno())
            written += output.nbytes
            if file.tell() != written:  # possible where the system has no lock
                file.truncate(0)
                raise ValueError(
                    f"Another process writes features into {folder} too. Call it again when that "
                    f"one has ended."
                )
    _mapped(part, record)
    os.replace(part, folder / "features.npy")


def _mapped(file, record):
    """Map a file, if it is a header and the record's rows to the byte."""
    try:
        array = np.load(file, mmap_mode="r")
        end = array.offset + array.nbytes
        whole = [*array.shape] == record["shape"] and end == file.stat().st_size
    except (ValueError, EOFError):  # what NumPy says of a file that is cut off
        whole = False
    if not whole or array.dtype != record["dtype"]:
        raise ValueError(
            f"{file} is damaged: it is not {record['shape']} {record['dtype']} to the byte. "
            f"Delete the folder to compute it anew."
        )
    return array


class _Ahead:
    """Read the next images while the network is at work on these."""

    def __init__(self, batches, steps):
        self.batches, self.steps = batches, steps

    def __len__(self):
        return len(self.steps)

    def __iter__(self):
        with ThreadPoolExecutor(1) as pool:
            coming = None
            for copy, rows in self.steps:
                # copy 0 is the plain one
                following = pool.submit(self.batches.images, rows, copy or None)
                if coming is not None:
                    yield coming.result()
                coming = following
            if coming is not None:
                yield coming.result()


def _predict(model, images, batch_size):
    """Return the outputs; a short batch is filled up, for another shape is compiled anew."""
    missing = batch_size - len(images)
    padded = np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)], mode="edge")
    return np.asarray(model.predict_on_batch(padded))[: len(images)]


def _check_arguments(batches, augmented_copies, dtype):
    if not isinstance(batches, ImageBatches):
        raise ValueError(f"batches={batches!r}: must be ImageBatches, which know their files.")
    if batches.shuffle:
        raise ValueError(
            "batches shuffle, so features would not lie beside their labels. Make them with "
            "shuffle=False."
        )
    whole_number("augmented_copies", augmented_copies, least=0)
    if (batches.augment is None) != (augmented_copies == 0):
        raise ValueError(
            f"augmented_copies={augmented_copies}, but batches.augment is {batches.augment!r}: "
            f"give both or neither."
        )
    if dtype not in ("float32", "float16"):
        raise ValueError(f'dtype={dtype!r}: must be "float32" or "float16".')


def _output_shape(model, size):
    shape = model.compute_output_shape((1, *size, 3))
    if not isinstance(shape, tuple) or not all(isinstance(side, int) for side in shape):
        raise ValueError(f"The model's output is {shape}: must be one of a known shape.")
    return shape[1:]


def _open_folder(folder, record, names):
    """Begin the folder, or make sure that it is of the same making."""
    file = folder / "record.json"
    if not file.exists():
        if any(folder.glob("features.npy*")):
            raise ValueError(f"{folder} holds features without a record. Name another folder.")
        _write(folder / "names.json", names)
        _write(file, record)  # last: what has a record has names
        return
    found = json.loads(file.read_text(encoding="utf-8"))
    other = [key for key in record if found.get(key) != record[key]]
    if other:
        raise ValueError(
            f"{folder} was made with other settings: its {', '.join(other)} differ. "
            f"Name another folder, or delete this one to compute it anew."
        )


def _write(file, value):
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    part.write_text(json.dumps(value, indent=1), encoding="utf-8")
    os.replace(part, file)


def _augmentation(batches):
    """Return what the augmented copies depend on."""
    config = batches.augment.get_config()
    del config["name"], config["seed"]  # what is drawn comes from the batches' seed
    return _digest([type(batches.augment).__name__, batches.seed, config])


def _digest_of_model(model):
    """Digest layers and weights; the names that Keras numbers are replaced by places."""
    layers = list(model._flatten_layers())
    places = {layer.name: place for place, layer in enumerate(layers)}

    def anonymous(thing, names=False):
        if isinstance(thing, dict):
            return {
                key: value if key == "dtype" else anonymous(value, names or key in NAMES)
                for key, value in thing.items()
            }  # a dtype has a name too, that of no layer
        if isinstance(thing, (list, tuple)):
            return [anonymous(value, names) for value in thing]
        return places.get(thing, thing) if names and isinstance(thing, str) else thing

    digest = hashlib.sha256(_digest(anonymous(model.get_config())).encode())
    for weight in model.get_weights():
        digest.update(str((weight.dtype, weight.shape)).encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _digest(thing):
    return hashlib.sha256(json.dumps(thing, sort_keys=True, default=repr).encode()).hexdigest()
