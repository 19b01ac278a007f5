"""Take named files out of a zip archive, and refuse an archive that tries to write elsewhere."""

import shutil
import stat
import zipfile
import zlib
from pathlib import PureWindowsPath

__all__ = ["stays_inside", "unpack"]


def stays_inside(name):
    r"""Return whether a member of this name stays in the folder it is unpacked to, on any system.

    Parameters
    ----------
    name : str
        A member's name as the archive gives it, or any relative path.

    Returns
    -------
    bool
        False for `../x`, `a/../../x`, `/x`, `\x`, `C:x`, `//host/share/x`, an empty name, and
        names that only look harmless: Windows drops dots and spaces at a name's end, so that
        `.. /x` climbs, and reads `x:y` as a drive or as a hidden stream of the file `x`.
    """
    parts = PureWindowsPath(name).parts  # splits at both kinds of slash, and drops "." parts
    if not parts or name[0] in "/\\" or ":" in name or "\0" in name:
        return False
    return all(part.strip(" .") for part in parts)


def unpack(archive, members, folder):
    """Write chosen members of a zip archive (a wheel is one) into a folder.

    The whole archive is refused if any member, wanted or not, would leave the folder or is a
    symbolic link: such an archive is either broken or hostile.

    Parameters
    ----------
    archive : pathlib.Path
        The zip file.
    members : dict of str to str
        File name in `folder` -> member of the archive.
    folder : pathlib.Path
        An existing folder.

    Raises
    ------
    ValueError
        If the archive is refused, damaged, encrypted, or lacks a member. Names the archive and
        the member; files already written stay, so unpack into a temporary folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                name = member.orig_filename  # as written; `filename` is cut at a zero byte
                if not stays_inside(name):
                    raise ValueError(f"{archive.name}: its member {name!r} would leave the folder")
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise ValueError(f"{archive.name}: its member {name!r} is a symbolic link")
            for file, member in members.items():
                with opened.open(member) as source, (folder / file).open("wb") as target:
                    shutil.copyfileobj(source, target, 2**20)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
        message = error.args[0] if error.args else type(error).__name__
        raise ValueError(f"{archive.name} cannot be unpacked: {message}") from error
