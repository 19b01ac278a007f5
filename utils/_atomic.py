"""A folder of made things appears under its name whole, or not at all."""

import os
import tempfile
from pathlib import Path

__all__ = ["folder_once"]


def folder_once(folder, write):
    """Make a folder, unless it is there already.

    Killed at any moment, a process leaves nothing under the folder's name. Where two processes
    make the same folder at once, the first to finish wins and the other one's copy is dropped.

    Parameters
    ----------
    folder : pathlib.Path
        The folder, named by everything that its content depends on.
    write : callable
        Called with an empty draft folder to fill.

    Returns
    -------
    pathlib.Path
        `folder`.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as workshop:
        draft = Path(workshop) / "draft"
        draft.mkdir()
        write(draft)
        try:
            os.rename(draft, folder)  # noqa: PTH104 - as below, a folder in the way is an error
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    return folder
