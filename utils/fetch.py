"""The real data sets: where they lie, whether they are whole, and how to get them.

`data/registry.toml` says what each set must be, byte for byte, and where it comes from.

>>> from utils.fetch import fetch, locate
>>> locate("movielens")             # the folder if the set is complete there, else None
>>> folder = fetch("movielens")     # downloads what is missing, verifies what is there

From a shell: `python -m utils.fetch list`, `get [NAME ...]`, `verify [NAME ...]`.

A download is written into a temporary folder beside its place, and gets its name only when it
is whole and its hash is listed. So at any moment, and after any crash, what lies under a
listed name is either right or laid there by a user. A user's file is never replaced.
The data of a Kaggle competition come by `utils.kaggle`: the whole folder, or nothing.
"""

import argparse
import dataclasses
import functools
import hashlib
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from utils import switches
from utils.download import Refused, digest, download, kind_of, sweep, workshop
from utils.kaggle.archives import holds_files
from utils.unpack import unpack

__all__ = ["DataUnavailable", "edition_of", "fetch", "fingerprint", "locate", "source_of"]

REGISTRY = switches.PROJECT / "data" / "registry.toml"


class DataUnavailable(Exception):
    """A data set is not here and can't be fetched; says which file, why, and the way out."""


def fetch(name, *, parts=(), folder=None):
    """Return the folder of a real data set, after downloading what it lacks.

    Listed files that are already in the folder are hashed, and never replaced.

    Parameters
    ----------
    name : str
        A data set of `data/registry.toml`, such as `"movielens"`.
    parts : iterable of str
        Optional files and folders wanted besides the required ones.
    folder : path, optional
        Where the set lies or will lie; by default its place in `switches.data_folder()`.

    Returns
    -------
    pathlib.Path
        The folder, with every required and every named part whole and verified. Not always
        `folder`: a competition is also found where Kaggle, Colab or kagglehub keep its data.

    Raises
    ------
    DataUnavailable
        If a part can't be downloaded (each address with its reason) or written, or lies there
        with a hash that the set does not accept.
    ValueError
        If the registry has no such set or part.
    """
    data, parts = _DataSet.read(name, folder), list(parts)
    if unknown := [part for part in parts if part not in data.parts]:
        known = ", ".join(data.parts)
        raise ValueError(f"{name!r} has no part {', '.join(map(repr, unknown))}; it has {known}.")
    try:
        _refuse_wrong(data)
        failures = []
        if not data.missing(parts):
            sweep(data.folder)
        elif data.competition:
            data, failures = _from_kaggle(data)
        else:
            failures = _obtain(data, parts)
    except OSError as error:
        raise DataUnavailable(
            f"{name}: {', '.join(data.missing(parts)) or 'its files'} can't be written to or read "
            f"from {data.folder}: {error.strerror or error}.\n"
            "Make room, or get the right to write there, or set LESSONS_DATA to another folder."
        ) from error
    if missing := data.missing(parts):
        raise DataUnavailable(
            f"{name}: {', '.join(missing)} can't be fetched into {data.folder}:\n"
            + "".join(f"  {failure}\n" for failure in failures or ["no address is known"])
            + f"By hand: {data.by_hand.format(folder=data.folder)}\n"
            f"Then `python -m utils.fetch verify {name}` checks what you laid there. "
            "Without data, LESSONS_SOURCE=standin runs on what can be generated."
        )
    return data.folder


def _refuse_wrong(data):
    if complaints := data.complaints():
        raise DataUnavailable(
            "\n".join(f"{data.name}: {complaint}." for complaint in complaints)
            + "\nNothing of yours is replaced. Move what is wrong out of the folder, then run "
            f"`python -m utils.fetch get {data.name}`."
        )


def locate(name, *, folder=None):
    """Return the folder of a real data set if it is complete, else None; no network, no hashing.

    Complete means that all required files are here, with a listed size where the set takes
    only listed files, and all required folders, with something in them. The data of a
    competition are also looked for where `utils.kaggle.locate` does. Parameters as in `fetch`.

    Returns
    -------
    pathlib.Path or None

    Raises
    ------
    ValueError
        If the registry has no such set.
    """
    data = _DataSet.read(name, folder)
    if data.missing():
        return None
    listed = {part: data.parts[part] for part in data.form() if data.parts[part]}
    sizes = {part: {version["bytes"] for version in listed[part]} for part in listed}
    whole = all((data.folder / part).stat().st_size in sizes[part] for part in sizes)
    return data.folder if whole or data.accepts_other else None


def source_of(name):
    """Return `"real"` or `"stand-in"`: which data a loader is to read, by `LESSONS_SOURCE`.

    With `auto` that is the real set where `locate` finds it. Raises ValueError for an unknown
    set.
    """
    here = locate(name) is not None
    real = {"auto": here, "real": True, "standin": False}[switches.source()]
    return "real" if real else "stand-in"


def edition_of(name, folder=None):
    """Return which edition of a set lies in a folder, by the hashes of its required files.

    Parameters
    ----------
    name : str
        A data set of the registry.
    folder : path, optional
        Where the set lies; by default its place in `switches.data_folder()`.

    Returns
    -------
    str
        An edition that the registry lists, such as `"2016-10"`; `"other"` if any file is not
        listed; `"2016-10 + 2018-09"` for a mixture, which `fetch` would refuse.

    Raises
    ------
    DataUnavailable
        If a required file is missing.
    """
    data = _complete(name, folder)
    return data.edition(data.form())


def fingerprint(name, folder=None):
    """Return eight hexadecimal digits that tell a folder's required files from any others.

    Parameters
    ----------
    name, folder
        As in :func:`edition_of`.

    Raises
    ------
    DataUnavailable
        If a required file is missing.
    """
    data = _complete(name, folder)
    digests = (data.digest(part) for part in data.form() if data.parts[part])
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:8]


def _complete(name, folder):
    data = _DataSet.read(name, folder)
    if missing := [part for part in data.missing() if data.parts[part]]:
        raise DataUnavailable(f"{name}: no {', '.join(missing)} in {data.folder}.")
    return data


@dataclass(frozen=True)
class _DataSet:
    """One table of the registry, which explains the fields, and the folder the set lies in."""

    name: str
    folder: Path
    title: str
    complete: list
    accepts_other: bool
    terms: str
    citation: str
    home: str
    by_hand: str
    parts: dict
    downloads: list = ()
    competition: str = ""

    @classmethod
    def read(cls, name, folder=None):
        registry = _registry()
        if name not in registry:
            known = ", ".join(registry)
            raise ValueError(f"{name!r} is not a data set of the registry, which has {known}.")
        place = switches.data_folder() / registry[name]["folder"]
        data = cls(**registry[name] | {"name": name, "folder": Path(folder or place)})
        if data.competition and folder is None and data.missing():
            from utils import kaggle

            if elsewhere := kaggle.locate(data.competition):
                there = dataclasses.replace(data, folder=elsewhere)
                return data if there.missing() else there
        return data

    def has(self, part):
        place = self.folder / part
        if part.endswith("/"):
            return holds_files(place)
        return place.exists()

    def form(self):
        """Return the first list of files that makes the set complete here, else the first list."""
        return next((form for form in self.complete if all(map(self.has, form))), self.complete[0])

    def missing(self, optional=()):
        """Return the required and the named optional parts that are not here."""
        return [part for part in [*self.form(), *optional] if not self.has(part)]

    def digest(self, part, kind="sha256"):
        """Return a hash of a file that is here, read again only when the file has changed."""
        state = (self.folder / part).stat()
        return _digest(self.folder / part, kind, state.st_ino, state.st_size, state.st_mtime_ns)

    def version(self, part):
        """Return the listed version that a file here is of, None if of none."""
        for version in self.parts[part]:
            if self.digest(part, kind_of(_hash(version))) == _hash(version):
                return version
        return None

    def edition(self, parts):
        """Return the edition of those of `parts` that are here, "" if they suit any."""
        here = (self.version(part) for part in parts if self.parts[part] and self.has(part))
        found = {version.get("edition", "") if version else "other" for version in here}
        return "other" if "other" in found else " + ".join(sorted(found - {""}))

    def complaints(self):
        """Return what is wrong with the files that are here, in words."""
        wrong = [
            f"{self.folder / part} has sha256 {self.digest(part)}, but listed is "
            + _hashes(self.parts[part])
            for part in filter(self.has, self.parts)
            if not self.accepts_other and self.edition([part]) == "other"
        ]
        mixed = [
            f"{self.folder} mixes editions: {', '.join(form)} are of {self.edition(form)}"
            for form in self.complete
            if "+" in self.edition(form)
        ]
        return wrong + mixed

    def download_size(self):
        """Return how much is downloaded for the first form of the set, in words."""
        if self.competition:
            return "by Kaggle"
        form = self.complete[0]
        return _size(sum(s["bytes"] for s in self.downloads if {*_gives(s)} & {*form}))


def _registry():
    with REGISTRY.open("rb") as file:
        return tomllib.load(file)


@functools.lru_cache(maxsize=64)
def _digest(path, kind, *_state_of_the_file):
    return digest(path, kind)


def _from_kaggle(data):
    """Return the set where its competition's data are now, and what failed."""
    from utils import kaggle

    _say(f"fetching {data.competition} by Kaggle")
    try:
        there = dataclasses.replace(data, folder=kaggle.download(data.competition, data.folder))
    except (kaggle.CompetitionUnavailable, ValueError) as reason:
        return data, [str(reason)]
    _refuse_wrong(there)
    return there, [f"{data.competition} came without it" for _ in there.missing()[:1]]


def _obtain(data, optional):
    """Download what is missing, for the first form that can be had; return what failed."""
    failures = []
    data.folder.mkdir(parents=True, exist_ok=True)
    with workshop(data.folder) as work:
        for form in data.complete if data.missing() else [data.form()]:
            for source in data.downloads:
                wanted = [part for part in [*form, *optional] if part in _gives(source)]
                if missing := [part for part in wanted if not data.has(part)]:
                    failures += _try_addresses(data, form, source, missing, work)
            if not data.missing():
                break
    return failures


def _try_addresses(data, form, source, missing, work):
    """Bring missing parts to their places from the first address that works; return what failed."""
    edition, here = source.get("edition", ""), data.edition(form)
    if edition and here and edition != here:
        return [f"{source['file']} is of edition {edition}, what lies there is of {here}"]
    failures = []
    for address in source["addresses"]:
        _say(f"fetching {source['file']} ({_size(source['bytes'])}) from {address}")
        arrived = work / source["file"]
        try:
            download(address, arrived, size=source["bytes"], listed=_hash(source))
            if "unpack" in source:
                unpack(arrived, {part: source["unpack"][part] for part in missing}, work)
            for part in missing:
                _check(work / part, data.parts[part])
            for part in missing:
                os.replace(work / part, data.folder / part)
            return []
        except (Refused, ValueError) as reason:
            failures.append(f"{address}: {reason}")
    return failures


def _check(file, versions):
    """Refuse a file that is not listed; make sure that a listed one is on the disk as a whole."""
    if not any(digest(file, kind_of(_hash(v))) == _hash(v) for v in versions):
        raise Refused(f"{file.name} has sha256 {digest(file)}; listed is {_hashes(versions)}")
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _gives(source):
    return source.get("unpack", [source["file"]])


def _hash(listed):
    """Return what identifies a listed file: its sha256, or its md5 where only that is known."""
    return listed.get("sha256") or listed["md5"]


def _hashes(versions):
    return " or ".join(v.get("sha256") or f"md5 {v['md5']}" for v in versions)


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _size(count):
    return f"{count / 1e6:,.0f} MB" if count > 5e6 else f"{count / 1e3:,.0f} kB"


def _list(names):
    """Print a table of the sets."""
    rows = [("name", "folder", "here", "edition", "download", "terms")]
    for data in map(_DataSet.read, names or _registry()):
        here = locate(data.name) is not None
        edition = data.edition(data.form()) if here else ""
        row = data.name, data.folder.name, "yes" if here else "no", edition
        rows.append((*row, data.download_size(), data.terms))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"data folder: {switches.data_folder()}\n")
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return 0


def _get(names):
    """Fetch sets, size and terms and citation first; one that fails does not stop the others."""
    status = 0
    for data in map(_DataSet.read, names or _registry()):
        print(f"{data.name}: {data.title}\n  size   {data.download_size()}")
        print(f"  terms  {data.terms}\n  cite   {data.citation}", flush=True)
        try:
            fetch(data.name)
            print(f"  here   edition {edition_of(data.name)}, in {data.folder}\n", flush=True)
        except DataUnavailable as error:
            _say(f"{error}\n")
            status = 1
    return status


def _verify(names):
    """Hash every file that is here; the exit status is 1 if one is wrong or missing."""
    status = 0
    for data in map(_DataSet.read, names or _registry()):
        here = list(filter(data.has, data.parts))
        for part in here:
            if not data.parts[part]:
                print(f"{data.name}: {part}: here, of no listed hash")
                continue
            edition = data.edition([part]) or "any"
            unlisted = f", its sha256 {data.digest(part)} is not listed" * (edition == "other")
            print(f"{data.name}: {part}: edition {edition}{unlisted}")
        complaints = data.complaints()
        if (names or here) and (missing := data.missing()):
            complaints.append(f"{data.folder} lacks {', '.join(missing)}")
        for complaint in complaints:
            print(f"{data.name}: WRONG: {complaint}")
            status = 1
        if not here and not names:
            print(f"{data.name}: not in {data.folder}")
    return status


def main(arguments=None):
    """Run the command line, `python -m utils.fetch -h`; return the exit status."""
    parser = argparse.ArgumentParser("python -m utils.fetch", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    for run in (_list, _get, _verify):
        command = commands.add_parser(run.__name__[1:], help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("names", nargs="*", metavar="NAME", help="by default every set")
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen.names)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
