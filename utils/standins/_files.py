"""Writing files that are the same byte for byte, whenever and wherever they are written."""

import io
import zipfile

import numpy as np

__all__ = ["write_npz"]


def write_npz(path, arrays):
    """Write an .npz file with no date in it: equal arrays give equal bytes.

    Parameters
    ----------
    path : pathlib.Path
        The .npz file.
    arrays : dict of str to numpy.ndarray
        Arrays of objects are pickled, as NumPy does.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array))
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED
            )
