"""Which folder a loader reads, and what its content is: real or stand-in, and which edition."""

from dataclasses import dataclass
from pathlib import Path

from utils import standins, switches
from utils.fetch import edition_of, fetch, fingerprint, locate, source_of

__all__ = ["Origin", "find", "require"]


@dataclass(frozen=True)
class Origin:
    """A folder with a data set, and whether it is `"real"` or a `"stand-in"`."""

    name: str
    folder: Path
    source: str

    @property
    def edition(self):
        """Which edition the folder holds; real files are hashed to know.

        Unlisted files are `"other"` and eight digits of their hash: what was computed from one
        set of your own is then never taken for what another would give.
        """
        if self.source == "stand-in":
            return standins.edition_of(self.folder)
        edition = edition_of(self.name, self.folder)
        if "+" in edition:
            raise ValueError(
                f"{self.folder} mixes the editions {edition}. Keep the files of one of them."
            )
        return f"other {fingerprint(self.name, self.folder)}" if edition == "other" else edition


def find(name, folder=None):
    """Find the folder to read a data set from.

    Parameters
    ----------
    name : str
        A data set's name, as `python -m utils.fetch list` shows it.
    folder : path, optional
        Your own files. Otherwise the switches decide between the real set and its stand-in.

    Returns
    -------
    Origin

    Raises
    ------
    utils.fetch.DataUnavailable
        If `LESSONS_SOURCE` is `real` and the set cannot be had.
    ValueError
        If `folder` is not a folder.
    """
    if folder is None and source_of(name) == "stand-in":
        folder = standins.make(name)
        if switches.source() == "auto":
            print(
                f"{name}: no complete real set in the data folder, so this is the "
                f"generated stand-in. `python -m utils.fetch get {name}` fetches the real ones."
            )
    elif folder is None:
        folder = locate(name) or fetch(name)
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder. Pass the folder that holds the files.")
    return Origin(name, folder, "stand-in" if standins.is_standin(folder) else "real")


def require(folder, *files):
    """Return the paths of `files` in `folder`; a `ValueError` names those that are missing."""
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise ValueError(
            f"{folder} has no {' and no '.join(missing)}. This loader reads {', '.join(files)}."
        )
    return [folder / file for file in files]
