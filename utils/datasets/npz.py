"""Read an .npz file that holds lists of integers, without running anything it may contain.

NumPy stores arrays of lists as pickles, and a pickle may call any function it can name.
`numpy.load(allow_pickle=True)` therefore runs whatever the file says. Here no name in the file
ever reaches NumPy or Python: the four names that describe an array are answered by inert
stand-ins that only take notes, every other name is refused.
"""

import io
import pickle
import zipfile

import numpy as np

__all__ = ["RefusedPickle", "read_npz"]


class RefusedPickle(ValueError):
    """A file asked for something that a file of integers has no use for."""


class _Note:
    """What a pickle said about one object: its arguments, and then its state."""

    __slots__ = ("arguments", "kind", "state")

    def __init__(self, kind, arguments):
        self.kind, self.arguments, self.state = kind, arguments, None

    def __setstate__(self, state):
        self.state = state


class _Name:
    """Answers to a permitted name; calling it takes a note and does nothing else."""

    __slots__ = ("kind",)

    def __init__(self, kind):
        object.__setattr__(self, "kind", kind)

    def __setattr__(self, name, value):
        raise pickle.UnpicklingError(f"sets {name} of {self.kind}")

    def __call__(self, *arguments):
        return _Note(self.kind, arguments)


PERMITTED = {
    (module, name): name
    for module, names in {
        "numpy.core.multiarray": ("_reconstruct", "scalar"),  # as NumPy 1 writes them
        "numpy._core.multiarray": ("_reconstruct", "scalar"),  # as NumPy 2 does
        "numpy": ("ndarray", "dtype"),
    }.items()
    for name in names
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in PERMITTED:
            raise RefusedPickle(f"{module}.{name}")
        return _Name(PERMITTED[module, name])

    def persistent_load(self, pid):
        raise RefusedPickle(f"the persistent object {pid!r}")


def read_npz(path, names):
    """Read arrays of integers, or of lists of integers, from an .npz file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    names : sequence of str
        The arrays wanted.

    Yields
    ------
    name : str
        One of `names`, in the order given.
    values : numpy.ndarray or list
        A plain array as it is; an array of objects as a list of what it holds, which the caller
        has to check: lists of anything simple, 1-D integer arrays. One array at a time, since
        25,000 lists of Python integers fill some 200 MB.

    Raises
    ------
    RefusedPickle
        A `ValueError`: the file names a function or class other than those of an array.
    ValueError
        If the file is cut short, damaged, not an .npz, or lacks an array.
    OSError
        If the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # damaged bytes can raise anything
            raise ValueError(
                f"{path} is cut short or no .npz file ({error}). Delete it and fetch it again."
            ) from error
        members = archive.namelist()
        missing = [name for name in names if f"{name}.npy" not in members]
        if missing:
            raise ValueError(
                f"{path} has no array {', '.join(missing)}; it holds {', '.join(members)}."
            )
        for name in names:
            try:
                values = _read_array(io.BytesIO(archive.read(f"{name}.npy")))
            except RefusedPickle as error:
                raise RefusedPickle(
                    f"{path}, array {name}: asks for {error}, which an array of lists of integers "
                    f"does not need. It may be made to run code, so it was not loaded. "
                    f"Delete it and fetch it from the official address."
                ) from None
            except Exception as error:
                raise ValueError(
                    f"{path}, array {name}: damaged ({type(error).__name__}: {error}). "
                    f"Delete it and fetch it again."
                ) from error
            yield name, values


def _read_array(file):
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the .npy format")
    read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, _, dtype = read_header(file)
    if len(shape) != 1:
        raise ValueError(f"shape {shape} instead of one dimension")
    if not dtype.hasobject:
        return np.frombuffer(file.read(), dtype, count=shape[0])
    values = _plain(_Unpickler(file).load())
    if not isinstance(values, list) or len(values) != shape[0]:
        raise ValueError(f"does not hold the {shape[0]} lists that its header promises")
    return [_plain(value) for value in values]


def _plain(value):
    """Turn the note on an array into a list (of objects) or an array (of integers)."""
    if isinstance(value, list) and value and isinstance(value[0], _Note):
        return [_plain(item) for item in value]
    if not isinstance(value, _Note):
        return value
    try:
        if value.kind == "scalar":
            dtype, content = value.arguments
            return int(np.frombuffer(content, _integer_type(dtype))[0])
        _, shape, dtype, _, content = value.state
        if isinstance(content, list):
            return content
        return np.frombuffer(content, _integer_type(dtype)).reshape(shape)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError("holds something other than lists of integers") from error


def _integer_type(note):
    code, order = note.arguments[0], note.state[1]
    if code not in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8") or order not in "<>|=":
        raise ValueError
    return np.dtype(order + code)
