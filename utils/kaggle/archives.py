"""Lays a competition's files in a folder, with every zip unpacked."""

import errno
import os
import re
import shutil
import zipfile
from pathlib import Path, PurePosixPath

from utils._atomic import folder_once
from utils.unpack import stays_inside, unpack

__all__ = ["files", "has_zips", "holds_files", "is_whole", "refuse_full", "unpack_zips"]

LITTER = re.compile(r"\.DS_Store|\._.*")  # what a Mac leaves in folders it has shown or copied


def unpack_zips(source, folder, *, competition=None):
    """Lay the files of one folder in another, with every zip unpacked.

    What comes out of `imgs.zip` is called `imgs`, and out of `sample_submission.csv.zip`
    `sample_submission.csv`, whether or not the members' own names begin with that; a member
    beside `sample_submission.csv` in its zip is laid beside it. Zips inside of zips are unpacked
    too. Linked folders are followed. Files that are no zips are linked, so that they stay when
    the source goes, or copied to another disk.

    Parameters
    ----------
    source : path
        A folder, such as one that Kaggle mounts; only read.
    folder : path
        A new or empty folder; appears whole, or not at all.
    competition : str, optional
        What `COMPETITION.zip` holds, the one file that Kaggle's own command downloads, is laid
        in `folder` itself.

    Returns
    -------
    pathlib.Path
        `folder`. If an earlier call made it, nothing is done.

    Raises
    ------
    ValueError
        If `folder` holds other files; if a zip is damaged or encrypted, or has members that
        would leave the folder; if one name has two contents, or is a file and a folder; if a
        link leads nowhere, or to a folder that it lies in.
    OSError
        If `folder` can't be written, or the disk has no room for what the zips hold.
    """
    source, folder = Path(source), Path(folder)
    if is_whole(folder, competition):
        return folder
    if not source.is_dir():
        raise ValueError(f"{source} is not a folder. Name the one that holds the zips.")
    refuse_full(folder)
    if folder.is_dir():
        for litter in folder.iterdir():
            litter.unlink()
        folder.rmdir()

    def write(draft):
        _lay(source, draft, competition)
        while inner := [file for file in files(draft) if _is_zip(file)]:
            for archive in inner:
                _lay_out(archive, draft, archive.relative_to(draft), competition)
                archive.unlink()
        _mark(draft, competition).touch()

    return folder_once(folder, write)


def is_whole(folder, competition):
    """Return whether `unpack_zips` made this folder, of this competition."""
    return _mark(folder, competition).exists()


def _mark(folder, competition):
    return folder / f".whole-{competition or 'zips'}"


def holds_files(folder):
    """Return whether a folder holds more than dot files."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:  # a look at the first of perhaps 80,000
        return any(not entry.name.startswith(".") for entry in entries)


def refuse_full(folder):
    """Raise ValueError unless a folder is new, or empty but for litter."""
    entries = folder.iterdir() if folder.is_dir() else [folder] if folder.exists() else []
    if not all(LITTER.fullmatch(entry.name) and entry.is_file() for entry in entries):
        raise ValueError(
            f"{folder} holds files already, and nothing of yours is replaced. Move them away, or "
            "name a new folder."
        )


def has_zips(folder):
    """Return whether there is a zip in a folder, at any depth."""
    return any(map(_is_zip, files(folder)))


def files(folder, above=()):
    """Yield all that is not a folder below a folder, linked folders included, by name.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    above : tuple of pathlib.Path
        The real folders that it was reached through.

    Yields
    ------
    pathlib.Path

    Raises
    ------
    ValueError
        If a link leads to a folder that it lies in: there would be no end.
    """
    above = (*above, folder.resolve())
    with os.scandir(folder) as entries:  # knows what is a folder, without asking a slow disk
        found = sorted((entry.name, entry.is_dir()) for entry in entries)
    for name, is_folder in found:
        path = folder / name
        if LITTER.fullmatch(name):
            continue
        if not is_folder:
            yield path
        elif any(one.is_relative_to(path.resolve()) for one in above):
            raise ValueError(f"{path} links to {path.resolve()}, a folder that it lies in.")
        else:
            yield from files(path, above)


def _is_zip(file):
    return file.suffix.lower() == ".zip" and file.is_file()


def _lay(source, draft, competition):
    for file in files(source):
        name = file.relative_to(source)
        if name.parts[0].startswith("."):
            continue
        if not file.exists():
            raise ValueError(f"{file} is a link that leads nowhere.")
        if _is_zip(file):
            _lay_out(file, draft, name, competition)
        else:
            _link(file, _new(draft / name))


def _link(file, target):
    try:
        os.link(file.resolve(), target)
    except OSError:  # another disk, or one without links
        _refuse_too_large(file.stat().st_size, target.parent, file)
        shutil.copyfile(file, target)


def _new(target):
    """Return the path of a file to write, after making its folder."""
    if target.exists():
        raise ValueError(f"{target.name} comes out of two zips, or lies beside its zip.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"{target.parent.name} would be a folder that holds {target.name}, and is a file."
        ) from error
    return target


def _lay_out(archive, draft, name, competition):
    """Unpack the zip that stands at `name`; what comes out of `x.zip` is called `x`."""
    place = PurePosixPath(name.with_suffix("").as_posix())
    members = _members(archive, draft)
    beside = place.name == competition or any(str(path) == place.name for path, _ in members)
    targets = {}
    for path, member in members:
        begins = path.parts[:1] == (place.name,)
        target = str((place.parent if beside or begins else place) / path)
        if not stays_inside(target):
            raise ValueError(f"{archive.name}: its member {target!r} would leave the folder")
        if target in targets:
            raise ValueError(f"{archive.name} has two members for {target!r}.")
        targets[target] = member
    for target in targets:
        if within := [str(one) for one in PurePosixPath(target).parents if str(one) in targets]:
            raise ValueError(f"{archive.name} has {within[0]!r} as a file and as a folder.")
        _new(draft / target)
    unpack(archive, targets, draft)


def _members(archive, draft):
    """Return (path, name) of the files in a zip, if there is room for them."""
    try:
        with zipfile.ZipFile(archive) as opened:
            found = opened.infolist()
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{archive.name} cannot be unpacked: {error}") from error
    # some Windows programs write backslashes between folders
    paths = [info.filename.replace("\\", "/") for info in found]
    chosen = [
        (PurePosixPath(path), info)
        for path, info in zip(paths, found, strict=True)
        if not path.endswith("/") and not path.startswith("__MACOSX/")
    ]
    _refuse_too_large(sum(info.file_size for _, info in chosen), draft, archive)
    return [(path, info.filename) for path, info in chosen]


def _refuse_too_large(needed, folder, file):
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"{file.name} needs {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free",
            str(folder),
        )
