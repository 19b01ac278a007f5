"""Finds a competition's files on this machine, and downloads them where they are not here."""

import errno
import importlib
import os
import re
from pathlib import Path

from utils import switches
from utils.kaggle.archives import has_zips, holds_files, is_whole, refuse_full, unpack_zips

__all__ = ["CompetitionUnavailable", "download", "locate"]

COLAB = Path("/content")


class CompetitionUnavailable(Exception):
    """A competition's files are not here and can't be downloaded; says why, and the way out."""


def locate(competition):
    """Return the folder that holds a competition's files, else None; no network.

    Looked at in turn: what Kaggle mounts in its notebooks (`/kaggle/input/NAME` or
    `/kaggle/input/competitions/NAME`), a finished download of kagglehub, `/content/NAME` on
    Colab, and `NAME` in the data folder (`LESSONS_DATA`, which may be a mounted Google Drive).

    Parameters
    ----------
    competition : str
        Its name in Kaggle's addresses, such as `"state-farm-distracted-driver-detection"`.

    Returns
    -------
    pathlib.Path or None
        The first of these folders that holds more than dot files. It may be read-only, and may
        hold zips: see `unpack_zips`.

    Raises
    ------
    ValueError
        If it is not such a name.
    """
    return next(filter(holds_files, _places(_checked(competition))), None)


def download(competition, folder):
    """Return a folder with a competition's files, unpacked, after downloading what is not here.

    What `locate` finds is not downloaded again. Files on the same disk are linked, not copied.

    Parameters
    ----------
    competition : str
        As in `locate`.
    folder : path
        A new or empty folder to lay the files in; appears whole, or not at all.

    Returns
    -------
    pathlib.Path
        `folder`; or the folder that was located, where its files need no unpacking.

    Raises
    ------
    CompetitionUnavailable
        If kagglehub is not installed, nobody is logged in, the competition's rules are not
        accepted, or Kaggle can't be reached; says what to do.
    ValueError
        If `folder` holds other files, the name is no competition's, or the files can't be laid
        out: see `unpack_zips`.
    OSError
        If `folder` can't be written.
    """
    folder = Path(folder)
    if is_whole(folder, competition):
        return folder
    refuse_full(folder)
    found = locate(competition)
    if found and not has_zips(found):
        return found
    return unpack_zips(found or _by_kagglehub(competition), folder, competition=competition)


def _checked(competition):
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(competition)):
        raise ValueError(
            f"competition={competition!r}: give its name as in Kaggle's addresses, small letters "
            "and hyphens, for instance 'state-farm-distracted-driver-detection'."
        )
    return competition


def _places(competition):
    mount = Path(os.environ.get("KAGGLE_CACHE_MOUNT_FOLDER", "/kaggle/input"))
    yield mount / competition
    yield mount / "competitions" / competition
    cache = os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub"
    done = Path(cache) / "competitions" / f"{competition}.complete"
    if done.exists():
        yield done.with_suffix("")
    yield COLAB / competition
    yield switches.data_folder() / competition


def _by_kagglehub(competition):
    """Return the folder that kagglehub fills: its cache, or what it mounts on Kaggle."""
    rules = f"https://www.kaggle.com/competitions/{competition}/rules"
    by_hand = (
        f"By hand: download all from https://www.kaggle.com/competitions/{competition}/data and "
        f"unzip it in {switches.data_folder() / competition}."
    )
    try:
        kagglehub = importlib.import_module("kagglehub")
    except ImportError as error:
        raise CompetitionUnavailable(
            f"{competition}: kagglehub is not installed. `pip install kagglehub`. {by_hand}"
        ) from error
    try:
        return Path(kagglehub.competition_download(competition))
    except Exception as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        kinds = {kind.__name__ for kind in type(error).__mro__}
        status = getattr(getattr(error, "response", None), "status_code", None)
        log_in = (
            "Make a token at https://www.kaggle.com/settings/api, then run `import kagglehub; "
            "kagglehub.login()`, or set KAGGLE_API_TOKEN (on Colab: a secret of that name)."
        )
        accept = f"Log in to Kaggle, open {rules} and accept the rules once"
        if kinds & {"UnauthenticatedError", "CredentialError"} or status == 401:
            why = f"Kaggle does not know who you are. {log_in} {accept}."
        elif status == 403:
            why = f"Kaggle refuses the files. {accept}, with the account of your token. {log_in}"
        elif status == 404:
            why = "Kaggle has no such competition, or not for you. Compare its address."
        elif kinds & {"ConnectionError", "Timeout", "gaierror", "TimeoutError"}:
            why = "Kaggle can't be reached. In a Kaggle notebook switch the internet on."
        else:
            why = "kagglehub failed."
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise CompetitionUnavailable(f"{competition}: {why} {by_hand} ({said})") from error
