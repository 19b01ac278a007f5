"""Folders of made things: under their name whole or not at all, one maker at a time."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

__all__ = ["alone_in", "folder_once"]


@contextlib.contextmanager
def alone_in(folder, *, wait, doing):
    """Hold the system's lock on a folder, which falls with its holder, however that dies.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder. Threads and processes that hold or want it are told apart alike.
    wait : bool
        Whether to wait for another holder.
    doing : str
        What the other one is at, for the line that is shown while waiting: "fetching into".

    Yields
    ------
    bool
        Whether the lock is held: False where there is no such lock (Windows, some network
        disks), and where another one holds it and `wait` is False.
    """
    try:
        import fcntl
    except ImportError:
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = wait
            if wait:
                print(f"another process is {doing} {folder}; waiting", file=sys.stderr)
                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(handle)


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
