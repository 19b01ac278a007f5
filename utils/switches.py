"""The three environment variables that steer every notebook, and the folders they imply.

=================  ====================================  ===============================
variable           values                                decides
=================  ====================================  ===============================
`LESSONS_SCALE`    `quick` (default), `full`             sizes: rows, epochs, seeds
`LESSONS_SOURCE`   `auto` (default), `real`, `standin`   real data or generated stand-ins
`LESSONS_DATA`     a folder; default `data/`             where real data lie
=================  ====================================  ===============================

They are read when asked for, never at import, so a notebook may set them first.
"""

import os
from pathlib import Path

__all__ = ["PROJECT", "build_folder", "data_folder", "scale", "source"]

PROJECT = Path(__file__).resolve().parent.parent


def _one_of(variable, default, accepted):
    value = os.environ.get(variable, "").strip().lower() or default
    if value not in accepted:
        raise ValueError(
            f"{variable}={os.environ[variable]!r} is not one of {', '.join(accepted)}. "
            f"Set it to one of these, or unset it for {default!r}."
        )
    return value


def scale():
    """Return `"quick"` or `"full"`: how large a notebook's rows, epochs and seeds are."""
    return _one_of("LESSONS_SCALE", "quick", ("quick", "full"))


def source():
    """Return `"auto"`, `"real"` or `"standin"`: which data a loader may use.

    `auto` takes the real set where it is complete and its stand-in elsewhere;
    `real` fetches what is missing or stops; `standin` never looks at real data.
    """
    return _one_of("LESSONS_SOURCE", "auto", ("auto", "real", "standin"))


def data_folder():
    """Return the folder that holds (or will hold) the real data sets, one subfolder each.

    Raises
    ------
    ValueError
        If `LESSONS_DATA` names a file.
    """
    chosen = os.environ.get("LESSONS_DATA", "").strip()
    folder = Path(chosen).expanduser().resolve() if chosen else PROJECT / "data"
    if folder.is_file():
        raise ValueError(f"LESSONS_DATA={chosen!r} is a file. Name the folder that holds the sets.")
    return folder


def build_folder():
    """Return the folder for everything that can be made again: stand-ins, caches, pages."""
    return PROJECT / "build"
