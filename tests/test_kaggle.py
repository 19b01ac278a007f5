"""Finding and unpacking without Kaggle, downloads by a false kagglehub, submissions, log loss."""

import errno
import gzip
import shutil
import sys
import types
import zipfile

import numpy as np
import pytest
from sklearn import metrics

from utils import kaggle
from utils.kaggle import (
    CompetitionUnavailable,
    InvalidSubmission,
    SampleSubmission,
    clip_probabilities,
    competition,
    log_loss,
    validate_submission,
    write_submission,
)

pytestmark = pytest.mark.backend_free

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

NAME = "state-farm-distracted-driver-detection"
SAMPLE = "img,c0,c1,c2\na.jpg,.3,.3,.4\nb.jpg,.3,.3,.4\nc.jpg,.3,.3,.4\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Give Kaggle's mount, kagglehub's cache, Colab and the data folder a place in tmp_path."""
    monkeypatch.setenv("KAGGLE_CACHE_MOUNT_FOLDER", str(tmp_path / "input"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(competition, "COLAB", tmp_path / "content")


def lay(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (files or {"one": "1"}).items():
        (folder / name).write_text(content)
    return folder


def zipped(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tree(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and not file.name.startswith(".whole-")
    }


# ---- where the data lie ----


def test_locate_looks_at_each_place_in_turn(tmp_path):
    assert kaggle.locate(NAME) is None
    places = [
        tmp_path / "data" / NAME,
        tmp_path / "content" / NAME,
        tmp_path / "input" / "competitions" / NAME,
        tmp_path / "input" / NAME,
    ]
    for place in places:
        place.mkdir(parents=True)
        assert kaggle.locate(NAME) != place  # it is empty
        lay(place)
        assert kaggle.locate(NAME) == place


def test_an_unfinished_download_of_kagglehub_is_none(tmp_path):
    cached = lay(tmp_path / "cache" / "competitions" / NAME)
    assert kaggle.locate(NAME) is None
    (tmp_path / "cache" / "competitions" / f"{NAME}.complete").touch()
    assert kaggle.locate(NAME) == cached


@pytest.mark.parametrize("name", ["", "../x", "https://www.kaggle.com/c/x", "State-Farm", "a/b"])
def test_names_that_are_no_competition(name):
    with pytest.raises(ValueError, match="as in Kaggle's addresses"):
        kaggle.locate(name)


def test_a_folder_with_dot_files_only_holds_nothing(tmp_path, monkeypatch):
    false_kagglehub(monkeypatch, lambda name: str(cache))
    lay(tmp_path / "data" / NAME, **{".DS_Store": "", "._a": "", ".whole-x": ""})
    assert kaggle.locate(NAME) is None
    cache = zipped(tmp_path / "downloaded" / "a.zip", {"b.csv": "1"}).parent
    folder = lay(tmp_path / "out", **{".DS_Store": "", "._imgs": ""})
    assert tree(kaggle.download(NAME, folder)) == {"a/b.csv": b"1"}
    mine = lay(tmp_path / "mine", **{".env": "secret"})
    with pytest.raises(ValueError, match="nothing of yours is replaced"):
        kaggle.download(NAME, mine)
    assert tree(mine) == {".env": b"secret"}


# ---- zips ----


def test_every_layout_of_zips_comes_out_the_same(tmp_path):
    expected = {
        "imgs/train/c0/img_1.jpg": b"1",
        "imgs/test/img_2.jpg": b"2",
        "sample_submission.csv": SAMPLE.encode(),
        "driver_imgs_list.csv": b"subject\n",
    }
    within = {"train/c0/img_1.jpg": "1", "test/img_2.jpg": "2", "__MACOSX/._x": "?"}
    whole = {f"imgs/{name}": text for name, text in within.items() if "_x" not in name}
    for number, members in enumerate((within, whole, {"imgs/": "", **whole})):
        source = lay(tmp_path / f"source{number}", **{"driver_imgs_list.csv": "subject\n"})
        zipped(source / "imgs.zip", members)
        zipped(source / "sample_submission.csv.zip", {"sample_submission.csv": SAMPLE})
        folder = kaggle.unpack_zips(source, tmp_path / f"out{number}")
        assert tree(folder) == expected
        assert (source / "imgs.zip").exists()
    # Kaggle's own command brings one zip with all of it, zips in it included
    source = tmp_path / "one"
    inner = {file.name: file.read_bytes() for file in (tmp_path / "source0").iterdir()}
    zipped(source / f"{NAME}.zip", inner)
    assert tree(kaggle.unpack_zips(source, tmp_path / "all", competition=NAME)) == expected


LAYOUTS = {
    "a stray file beside the folder": (
        "imgs.zip",
        {"imgs/train/1.jpg": "1", "readme.txt": "?"},
        {"imgs/train/1.jpg": b"1", "imgs/readme.txt": b"?"},
    ),
    "a stray file beside the table": (
        "sample.csv.zip",
        {"sample.csv": "1", "readme.txt": "?"},
        {"sample.csv": b"1", "readme.txt": b"?"},
    ),
    "backslashes": (
        "imgs.zip",
        {"imgs\\": "", "imgs\\train\\c0\\1.jpg": "1", "imgs\\2.jpg": "2"},
        {"imgs/train/c0/1.jpg": b"1", "imgs/2.jpg": b"2"},
    ),
    "dots": ("a.zip", {"./a/./b": "1", "c": "2"}, {"a/b": b"1", "a/c": b"2"}),
    "a folder of the same name deeper down": (
        "imgs.zip",
        {"train/imgs/1.jpg": "1", "imgs2/3": "3"},
        {"imgs/train/imgs/1.jpg": b"1", "imgs/imgs2/3": b"3"},
    ),
    "all of the competition": (f"{NAME}.zip", {"imgs/1.jpg": "1"}, {"imgs/1.jpg": b"1"}),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_what_comes_out_of_a_zip_has_its_name(case, tmp_path):
    name, members, expected = LAYOUTS[case]
    zipped(tmp_path / "source" / name, members)
    folder = kaggle.unpack_zips(tmp_path / "source", tmp_path / "out", competition=NAME)
    assert tree(folder) == expected


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [
        ("x.csv", "x.csv"),
        ("./x.csv", "x.csv"),
        ("t/x.csv", "t//x.csv"),
        ("t/x.csv", "t\\x.csv"),
        ("a/x.csv", "x.csv"),
    ],
)
def test_a_name_twice_in_one_zip_is_refused(names, tmp_path):
    (tmp_path / "source").mkdir()
    with zipfile.ZipFile(tmp_path / "source" / "a.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, str(number))
    with pytest.raises(ValueError, match=r"a\.zip has two members for 'a/.*x\.csv'"):
        kaggle.unpack_zips(tmp_path / "source", tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("members", [["x", "x/y"], ["x/y", "x"], ["x/y/z", "x"]])
def test_a_file_that_is_a_folder_too_is_refused(members, tmp_path):
    zipped(tmp_path / "source" / "a.zip", dict.fromkeys(members, "1"))
    with pytest.raises(ValueError, match=r"a\.zip has 'a/x' as a file and as a folder"):
        kaggle.unpack_zips(tmp_path / "source", tmp_path / "out")
    source = lay(tmp_path / "other", imgs="a file")
    zipped(source / "imgs.zip", {"train/c0/1.jpg": "1"})
    with pytest.raises(ValueError, match=r"would be a folder that holds 1\.jpg"):
        kaggle.unpack_zips(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_linked_folders_are_followed(tmp_path):
    lay(tmp_path / "elsewhere" / "train", **{"1.jpg": "1"})
    zipped(tmp_path / "elsewhere" / "test.zip", {"2.jpg": "2"})
    source = lay(tmp_path / "source", **{"a.csv": "a"})
    (source / "imgs").symlink_to(tmp_path / "elsewhere")
    (source / "b.csv").symlink_to(source / "a.csv")
    folder = kaggle.unpack_zips(source, tmp_path / "out")
    assert tree(folder) == {
        "a.csv": b"a",
        "b.csv": b"a",
        "imgs/train/1.jpg": b"1",
        "imgs/test/2.jpg": b"2",
    }
    # the only zip lies in a linked folder: it is not read where it lies
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / NAME).symlink_to(source)
    assert tree(kaggle.download(NAME, tmp_path / "whole")) == tree(folder)


@pytest.mark.parametrize("target", [".", "..", "../..", "../other/back"])
def test_links_without_an_end_are_refused(target, tmp_path):
    source = lay(tmp_path / "source" / "sub").parent
    lay(tmp_path / "source" / "other" / "back")
    (source / "other" / "back" / "there").symlink_to(source / "sub")
    (source / "sub" / "link").symlink_to(target)
    with pytest.raises(ValueError, match="a folder that it lies in"):
        kaggle.unpack_zips(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    source = lay(tmp_path / "source")
    (source / "gone.csv").symlink_to(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"gone\.csv is a link that leads nowhere"):
        kaggle.unpack_zips(source, tmp_path / "out")


def test_files_outlive_their_source(tmp_path):
    source = lay(tmp_path / "source", one="1")
    lay(tmp_path / "real", two="2")
    (source / "two").symlink_to(tmp_path / "real" / "two")
    folder = kaggle.unpack_zips(source, tmp_path / "out")
    shutil.rmtree(source)
    shutil.rmtree(tmp_path / "real")
    assert tree(folder) == {"one": b"1", "two": b"2"}


def test_unpacking_again_does_nothing(tmp_path):
    source = tmp_path / "source"
    zipped(source / "train.zip", {"train/cat.0.jpg": "x"})
    folder = kaggle.unpack_zips(source, tmp_path / "out")
    shutil.rmtree(source)
    assert kaggle.unpack_zips(source, folder) == folder


BROKEN = {
    "climbs": ({"../evil": "x"}, "would leave the folder"),
    "is absolute": ({"/evil": "x"}, "would leave the folder"),
    "has a drive": ({"C:evil": "x"}, "would leave the folder"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_hostile_zips_are_refused_whole(case, tmp_path):
    members, message = BROKEN[case]
    zipped(tmp_path / "source" / "imgs.zip", {"good": "x", **members})
    with pytest.raises(ValueError, match=message):
        kaggle.unpack_zips(tmp_path / "source", tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("keep", [0, 10, 60, -30])
def test_a_truncated_zip_leaves_nothing(keep, tmp_path):
    archive = zipped(tmp_path / "source" / "a.zip", {"x": "x" * 1000, "y": "y" * 1000})
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"a\.zip cannot be unpacked"):
        kaggle.unpack_zips(tmp_path / "source", tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


def test_damaged_content_leaves_nothing(tmp_path):
    archive = zipped(tmp_path / "source" / "a.zip", {"x": bytes(range(256)) * 9})
    content = bytearray(archive.read_bytes())
    content[60] ^= 255
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip cannot be unpacked"):
        kaggle.unpack_zips(tmp_path / "source", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_name_with_two_contents_is_refused(tmp_path):
    source = lay(tmp_path / "source", **{"a.csv": "1"})
    zipped(source / "a.csv.zip", {"a.csv": "2"})
    with pytest.raises(ValueError, match=r"a\.csv comes out of two zips, or lies beside its zip"):
        kaggle.unpack_zips(source, tmp_path / "out")


def test_a_full_disk_is_named_before_unpacking(tmp_path, monkeypatch):
    zipped(tmp_path / "source" / "imgs.zip", {"x": "x" * 5000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=4999))
    with pytest.raises(OSError, match=r"imgs\.zip needs .* GB") as error:
        kaggle.unpack_zips(tmp_path / "source", tmp_path / "out")
    assert error.value.errno == errno.ENOSPC and not (tmp_path / "out").exists()


def test_files_of_a_user_are_never_replaced(tmp_path):
    source, folder = tmp_path / "source", lay(tmp_path / "out", mine="mine")
    zipped(source / "a.zip", {"mine": "theirs"})
    for call in (
        lambda: kaggle.unpack_zips(source, folder),
        lambda: kaggle.download(NAME, folder),
    ):
        with pytest.raises(ValueError, match="nothing of yours is replaced"):
            call()
    assert tree(folder) == {"mine": b"mine"}
    with pytest.raises(ValueError, match="is not a folder"):
        kaggle.unpack_zips(source / "a.zip", tmp_path / "new")


# ---- downloads ----


def false_kagglehub(monkeypatch, download):
    module = types.ModuleType("kagglehub")
    module.competition_download = download
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def test_a_download_is_laid_out_and_not_repeated(tmp_path, monkeypatch):
    calls = []

    def download(name):
        calls.append(name)
        cached = tmp_path / "cache" / "competitions" / name
        zipped(cached / "imgs.zip", {"train/c0/img_1.jpg": "1"})
        return str(lay(cached, **{"driver_imgs_list.csv": "subject\n"}))

    false_kagglehub(monkeypatch, download)
    folder = kaggle.download(NAME, tmp_path / "data" / "state-farm")
    assert tree(folder) == {"imgs/train/c0/img_1.jpg": b"1", "driver_imgs_list.csv": b"subject\n"}
    assert kaggle.download(NAME, folder) == folder == tmp_path / "data" / "state-farm"
    assert calls == [NAME]


def test_what_kaggle_mounts_is_read_where_it_lies(tmp_path, monkeypatch):
    false_kagglehub(monkeypatch, lambda name: pytest.fail("no download is needed"))
    mount = lay(tmp_path / "input" / "competitions" / NAME)
    assert kaggle.download(NAME, tmp_path / "out") == mount and not (tmp_path / "out").exists()
    zipped(mount / "train.zip", {"cat.0.jpg": "x"})
    before = tree(mount)
    folder = kaggle.download(NAME, tmp_path / "out")
    assert tree(folder) == {"one": b"1", "train/cat.0.jpg": b"x"} and tree(mount) == before


def refusal(status):
    error = type("KaggleApiHTTPError", (OSError,), {})(f"{status} Client Error.\n\nNo.")
    error.response = types.SimpleNamespace(status_code=status)
    return error


FAILURES = {
    "nobody logged in": (
        type("UnauthenticatedError", (Exception,), {})("User is not authenticated"),
        ["does not know who you are", "kagglehub.login()", "KAGGLE_API_TOKEN"],
    ),
    "a wrong token": (refusal(401), ["does not know who you are"]),
    "rules": (refusal(403), [f"competitions/{NAME}/rules", "accept the rules once", "403 Client"]),
    "no such competition": (refusal(404), ["no such competition"]),
    "no network": (
        type("ConnectionError", (OSError,), {})("Name or service not known"),
        ["can't be reached", "switch the internet on"],
    ),
    "something else": (RuntimeError(), ["kagglehub failed", "RuntimeError"]),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures_say_what_to_do(case, tmp_path, monkeypatch):
    error, words = FAILURES[case]

    def download(name):
        raise error

    false_kagglehub(monkeypatch, download)
    with pytest.raises(CompetitionUnavailable) as caught:
        kaggle.download(NAME, tmp_path / "out")
    for word in [*words, NAME, "By hand:", f"competitions/{NAME}/data"]:
        assert word in str(caught.value)
    assert caught.value.__cause__ is error and not (tmp_path / "out").exists()


def test_without_kagglehub(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(CompetitionUnavailable, match="pip install kagglehub"):
        kaggle.download(NAME, tmp_path / "out")


def test_a_full_disk_is_no_fault_of_kaggle(tmp_path, monkeypatch):
    def download(name):
        raise OSError(errno.ENOSPC, "No space left on device")

    false_kagglehub(monkeypatch, download)
    with pytest.raises(OSError, match="No space left"):
        kaggle.download(NAME, tmp_path / "out")


# ---- submissions ----


@pytest.fixture
def sample(tmp_path):
    return lay(tmp_path, **{"sample_submission.csv": SAMPLE}) / "sample_submission.csv"


def test_a_submission_has_the_samples_order_and_exact_bytes(tmp_path, sample):
    p = np.array([[0.1, 0.2, 0.7], [1, 0, 0], [0.25, 0.5, 0.25]], "float32")
    path = write_submission(tmp_path / "s.csv", ["c.jpg", "a.jpg", "b.jpg"], p, sample=sample)
    assert path.read_bytes() == (
        b"img,c0,c1,c2\na.jpg,1.0,0.0,0.0\nb.jpg,0.25,0.5,0.25\nc.jpg,0.1,0.2,0.7\n"
    )
    packed = [
        write_submission(tmp_path / name, ["c.jpg", "a.jpg", "b.jpg"], p, sample=sample)
        for name in ("one.csv.gz", "two.csv.gz")
    ]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    assert gzip.decompress(packed[0].read_bytes()) == path.read_bytes()
    validate_submission(packed[0], sample)


@pytest.mark.parametrize("name", ["s.csv.zip", "s.zip", "s.txt", "s", "s.gz", "s.csv.bz2"])
def test_names_that_are_no_table(name, tmp_path, sample):
    with pytest.raises(ValueError, match=r"written as text, NAME\.csv, or compressed"):
        write_submission(tmp_path / name, ["a.jpg", "b.jpg", "c.jpg"], np.eye(3), sample=sample)
    assert not (tmp_path / name).exists()


def test_capitals_in_a_name_change_nothing(tmp_path, sample):
    ids = ["a.jpg", "b.jpg", "c.jpg"]
    plain = write_submission(tmp_path / "S.CSV", ids, np.eye(3), sample=sample)
    packed = write_submission(tmp_path / "S.CSV.GZ", ids, np.eye(3), sample=sample)
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    validate_submission(packed, sample)


IDS = {
    "bytes": ([b"a", b"b"], r"ids: received b'a'\. Accepted are text and whole numbers"),
    "floats": (np.array([1.0, 2.0]), r"ids: received .*1\.0"),
    "true": ([True, False], "ids: received True"),
    "none": ([None, "b"], "ids: received None"),
    "with a folder": (["test/a.jpg", "b.jpg"], "line 2: id 'test/a.jpg' carries a folder"),
    "with a Windows folder": (["a.jpg", "test\\b.jpg"], "line 3: id .* carries a folder"),
    "twice": (["a", "a"], "line 3: id 'a' stands on line 2 already"),
    "as text and number": (["1", 1], "line 3: id '1' stands on line 2 already"),
    "empty": (["a", ""], "line 3: no id"),
    "none at all": ([], "no rows"),
}


@pytest.mark.parametrize("case", IDS)
def test_ids_that_cannot_be(case, tmp_path):
    ids, message = IDS[case]
    with pytest.raises(ValueError, match=message):
        write_submission(
            tmp_path / "s.csv", ids, np.full((len(ids), 2), 0.5), columns=["id", "a", "b"]
        )
    assert not (tmp_path / "s.csv").exists()


def test_headers_that_cannot_be(tmp_path):
    for columns, message in (
        (["id", "a", "a"], "line 1: a column twice"),
        (["id"], "line 1: fewer than two columns"),
    ):
        with pytest.raises(InvalidSubmission, match=message):
            write_submission(tmp_path / "s.csv", ["x", "y"], np.eye(2), columns=columns)
        with pytest.raises(InvalidSubmission, match=f"sample:\n  {message}"):
            made = SampleSubmission(tuple(columns), ("x", "y"))
            write_submission(tmp_path / "s.csv", ["x", "y"], np.eye(2), sample=made)
    made = SampleSubmission(("id", "a", "b"), ("t/x", "t/y"))  # this competition's have a folder
    path = write_submission(tmp_path / "s.csv", ["t/x", "t/y"], np.eye(2), sample=made)
    assert path.read_text() == "id,a,b\nt/x,1.0,0.0\nt/y,0.0,1.0\n"


def test_a_message_names_the_file_that_was_asked_for(tmp_path, sample):
    path = tmp_path / "s.csv"
    for p, problem in ((np.eye(3) * 2, "'2.0' is not"), (np.eye(3) * 0.98, "sums to 0.98")):
        with pytest.raises(InvalidSubmission) as error:
            write_submission(path, ["a.jpg", "b.jpg", "c.jpg"], p, sample=sample)
        assert str(error.value).startswith(f"{path}:\n") and problem in str(error.value)
    with pytest.raises(InvalidSubmission, match=r"id 'a\.jpg' of the sample's line 2 is missing"):
        write_submission(path, [], np.zeros((0, 3)), sample=sample)


def test_labels_that_do_not_exclude_each_other(tmp_path):
    columns, p = ["id", "cat", "dog"], np.array([[0.99, 0.9], [0.0, 0.001]])
    with pytest.raises(InvalidSubmission, match=r"line 2: the row sums to 1\.89"):
        write_submission(tmp_path / "s.csv", [1, 2], p, columns=columns)
    path = write_submission(tmp_path / "s.csv", [1, 2], p, columns=columns, sums=False)
    validate_submission(path, path, sums=False)
    with pytest.raises(InvalidSubmission):
        validate_submission(path, path)
    columns, p = [*columns, "owl"], np.column_stack([p, [1, 0.5]])
    path = write_submission(
        tmp_path / "t.csv", [1, 2], p, columns=columns, sums=False, clip=0.95
    )  # each is one of two classes: 1 - .95 is the least
    assert path.read_text() == f"id,cat,dog,owl\n1,0.95,0.9,0.95\n2,{1 - 0.95},{1 - 0.95},0.5\n"


@pytest.mark.parametrize(
    ("last", "tolerance", "fits"),
    [
        (0.4009, None, True),
        (0.3991, None, True),
        (0.402, None, False),
        (0.398, None, False),
        (0.44, 0.05, True),
        (0.36, 0.05, True),
        (0.46, 0.05, False),
        (0.4001, 1e-6, False),
    ],
)
def test_how_far_a_sum_may_be_from_one(last, tolerance, fits, tmp_path, sample):
    path = lay(tmp_path, **{"s.csv": SAMPLE.replace("b.jpg,.3,.3,.4", f"b.jpg,.3,.3,{last}")})
    options = {} if tolerance is None else {"tolerance": tolerance}
    if fits:
        validate_submission(path / "s.csv", sample, **options)
    else:
        with pytest.raises(InvalidSubmission, match="line 3: the row sums to"):
            validate_submission(path / "s.csv", sample, **options)


@pytest.mark.parametrize("text", ["0.5_0", "５e-1", " .5", ".5 ", "0x1p-1", "1_0e-1", ".", "e-1"])
def test_what_only_python_reads_as_a_number(text, tmp_path):
    path = lay(tmp_path, **{"s.csv": f"id,label\n1,{text}\n", "sample.csv": "id,label\n1,0\n"})
    with pytest.raises(InvalidSubmission, match=r"line 2, column label: .* is not a number"):
        validate_submission(path / "s.csv", path / "sample.csv")


@pytest.mark.parametrize("text", ["1", "0", "1.", ".5", "+.5", "-0.0", "1e-05", "5E-1", "1.0e+00"])
def test_what_everyone_reads_as_a_number(text, tmp_path):
    path = lay(tmp_path, **{"s.csv": f"id,label\n1,{text}\n"}) / "s.csv"
    validate_submission(path, path)


def test_a_file_is_replaced_only_when_told(tmp_path, sample):
    ids, p = ["a.jpg", "b.jpg", "c.jpg"], np.full((3, 3), 1 / 3)
    path = write_submission(tmp_path / "s.csv", ids, p, sample=sample)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="replace=True"):
        write_submission(path, ids, p[:, ::-1], sample=sample)
    with pytest.raises(InvalidSubmission):
        write_submission(path, ids, p * 2, sample=sample, replace=True)
    assert path.read_bytes() == before
    write_submission(path, ids, np.eye(3), sample=sample, replace=True)
    assert path.read_bytes() != before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.csv", "sample_submission.csv"]


def test_one_column_and_no_sample(tmp_path):
    path = write_submission(
        tmp_path / "s.csv", [2, 1], np.array([[0.999], [0.5]]), columns=["id", "label"], clip=0.95
    )
    assert path.read_text() == "id,label\n2,0.95\n1,0.5\n"
    for arguments in ({}, {"columns": ["id", "label"], "sample": path}):
        with pytest.raises(ValueError, match=r"Give sample=.*or columns="):
            write_submission(tmp_path / "t.csv", [1], [0.5], **arguments)


@pytest.mark.parametrize("p", [np.ones((3, 2)), np.ones((2, 3)), np.ones(3), np.ones((3, 3, 1))])
def test_shapes_that_make_no_rows(p, tmp_path, sample):
    with pytest.raises(ValueError, match="shape"):
        write_submission(tmp_path / "s.csv", ["a.jpg", "b.jpg", "c.jpg"], p, sample=sample)


INVALID = {
    "a column renamed": (
        SAMPLE.replace("c2", "c9"),
        ["line 1: the columns are ['img', 'c0', 'c1', 'c9']; the sample has"],
    ),
    "columns swapped": (SAMPLE.replace("c1,c2", "c2,c1"), ["line 1: the columns are"]),
    "nothing": ("", ["line 1: the columns are []"]),
    "a row missing": (
        SAMPLE.replace("b.jpg,.3,.3,.4\n", ""),
        ["id 'b.jpg' of the sample's line 3 is missing", "2 rows; the sample has 3"],
    ),
    "a row twice": (
        SAMPLE + "b.jpg,.3,.3,.4\n",
        [
            "line 5: id 'b.jpg' stands on line 3 already",
            "4 rows; the sample has 3",
            "line 5: id 'b.jpg' stands on the sample's line 3: another order",
        ],
    ),
    "an unknown id": (
        SAMPLE.replace("c.jpg", "d.jpg"),
        ["line 4: id 'd.jpg' is not in the sample", "id 'c.jpg' of the sample's line 4 is missing"],
    ),
    "another order": (
        "img,c0,c1,c2\nb.jpg,.3,.3,.4\na.jpg,.3,.3,.4\nc.jpg,.3,.3,.4\n",
        ["line 3: id 'a.jpg' stands on the sample's line 2: another order"],
    ),
    "values of all kinds": (
        "img,c0,c1,c2\na.jpg,nan,.5,.5\nb.jpg,1.5,-.5,0\nc.jpg,,inf,x\n",
        [
            "line 2, column c0: 'nan' is not a number from 0 to 1",
            "line 3, column c0: '1.5' is not a number from 0 to 1",
            "line 3, column c1: '-.5' is not a number from 0 to 1",
            "line 4, column c0: '' is not a number from 0 to 1",
            "line 4, column c1: 'inf' is not a number from 0 to 1",
            "line 4, column c2: 'x' is not a number from 0 to 1",
        ],
    ),
    "sums": (
        SAMPLE.replace("b.jpg,.3,.3,.4", "b.jpg,.3,.3,.3"),
        ["line 3: the row sums to 0.9, not to 1"],
    ),
    "cells": (
        SAMPLE.replace("b.jpg,.3,.3,.4", "b.jpg,.3,.7").replace("c.jpg,", "c.jpg,0,"),
        ["line 3: 3 cells, the header has 4", "line 4: 5 cells, the header has 4"],
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_validation_finds_all_problems(case, tmp_path, sample):
    text, problems = INVALID[case]
    path = lay(tmp_path, **{"s.csv": text}) / "s.csv"
    with pytest.raises(InvalidSubmission) as error:
        validate_submission(path, sample)
    assert len(error.value.problems) == len(problems)
    for found, expected in zip(error.value.problems, problems, strict=True):
        assert expected in found and found in str(error.value)


def test_folders_in_ids_are_recognised(tmp_path, sample):
    path = lay(tmp_path, **{"s.csv": SAMPLE.replace("a.jpg", "test/a.jpg")}) / "s.csv"
    with pytest.raises(InvalidSubmission, match="ids carry a folder"):
        validate_submission(path, sample)


def test_a_message_stays_readable(tmp_path):
    columns, ids = ["id", "label"], range(1000)
    path = write_submission(tmp_path / "s.csv", ids, np.full(1000, 0.5), columns=columns)
    wrong = lay(tmp_path, **{"w.csv": path.read_text().replace("0.5", "7")}) / "w.csv"
    with pytest.raises(InvalidSubmission, match="and 980 more") as error:
        validate_submission(wrong, path)
    assert len(error.value.problems) == 1000


BAD_SAMPLES = {
    "id\n1\n": "line 1: fewer than two columns",
    "": "line 1: fewer than two columns",
    "id,a,a\n1,0,0\n": "line 1: a column twice",
    "id,label\n": "no rows",
    "id,label\n1,0\n1,0\n": "line 3: id '1' stands on line 2 already",
    'id,label\n1,"0': "not comma-separated text",
}


def test_a_blank_line_in_a_sample_is_no_row(tmp_path):
    path = lay(tmp_path, **{"sample.csv": SAMPLE + "\n"}) / "sample.csv"
    assert kaggle.read_sample_submission(path).ids == ("a.jpg", "b.jpg", "c.jpg")


@pytest.mark.parametrize("text", BAD_SAMPLES)
def test_samples_that_are_none(text, tmp_path):
    path = lay(tmp_path, **{"sample.csv": text}) / "sample.csv"
    with pytest.raises(ValueError, match=BAD_SAMPLES[text]):
        kaggle.read_sample_submission(path)
    (tmp_path / "x.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="not comma-separated text"):
        kaggle.read_sample_submission(tmp_path / "x.csv.gz")


# ---- clip and log loss ----


probabilities = (
    st.integers(2, 12)
    .flatmap(
        lambda k: st.lists(
            st.lists(st.floats(0, 1), min_size=k, max_size=k).filter(lambda row: sum(row) > 1e-3),
            min_size=1,
            max_size=20,
        )
    )
    .map(lambda rows: np.array(rows) / np.sum(rows, axis=1, keepdims=True))
)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(p=probabilities, share=st.floats(0.01, 1))
def test_clip_is_the_lessons_and_its_rows_validate(p, share, tmp_path_factory):
    k = p.shape[1]
    largest = 1 / k + share * (1 - 1 / k)
    clipped = clip_probabilities(p, largest)
    floor = (1 - largest) / (k - 1)
    np.testing.assert_array_equal(clipped, np.minimum(np.maximum(p, floor), largest))
    sums = clipped.sum(axis=1)
    assert sums.min() > 1 - 1e-9 and sums.max() < 1 + (k - 2) * floor + 1e-9
    folder = tmp_path_factory.mktemp("clip")
    columns = ["id", *map(str, range(k))]
    write_submission(folder / "s.csv", range(len(p)), p, columns=columns, clip=largest)


def test_clip_of_the_course():
    row = np.array([[1.0] + [0] * 9])
    np.testing.assert_allclose(clip_probabilities(row, 0.93), [[0.93] + [0.07 / 9] * 9])
    np.testing.assert_allclose(clip_probabilities([0, 0.5, 1], 0.93), [0.07, 0.5, 0.93])
    for largest in (0.1, 0, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"largest probability of 10 classes is above 0\.1"):
            clip_probabilities(row, largest)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(p=probabilities, seed=st.integers(0, 99))
def test_log_loss_is_sklearns(p, seed):
    p = np.maximum(p, 1e-9)
    p = p / p.sum(axis=1, keepdims=True)
    k = p.shape[1]
    labels = np.random.default_rng(seed).integers(0, k, len(p))
    expected = metrics.log_loss(labels, p, labels=range(k))
    assert log_loss(labels, p) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert log_loss(np.eye(k)[labels], 7 * p) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    binary = labels % 2
    expected = metrics.log_loss(binary, p[:, 0], labels=[0, 1])
    assert log_loss(binary, p[:, 0]) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert log_loss(binary[:, None], p[:, :1]) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_clip_pays_where_a_model_is_sure_and_wrong():
    p, labels = np.eye(10)[[0, 1, 2, 3]], [0, 1, 2, 4]
    sure, clipped = log_loss(labels, p), log_loss(labels, p, clip=0.93)
    assert sure == pytest.approx(-np.log(1e-15) / 4)
    assert clipped == pytest.approx(-(3 * np.log(0.93) + np.log(0.07 / 9)) / 4)
    # the upper end: a sure hit costs 1e-15, not 0
    assert log_loss([0, 1], np.eye(2)) == -np.log(1 - 1e-15) > 0
    assert log_loss(np.float32([0]), np.float32([[1e-9, 1]])) == pytest.approx(-np.log(1e-9))


BAD_SCORES = {
    "labels": (([0, 3], np.eye(3)[:2]), r"labels: received shape \(2,\).*0 … 2"),
    "negative labels": (([0, -1], np.eye(3)[:2]), "labels: received"),
    "half labels": (([0, 0.5], np.eye(3)[:2]), "labels: received"),
    "text": ((["c0", "c1"], np.eye(2)), r"labels: received shape \(2,\) of <U2; accepted are"),
    "digits as text": ((["0", "1"], np.eye(2)), "labels: received"),
    "labels that are missing": (([0, np.nan], np.eye(2)), "labels: received"),
    "one label for one row": ((0, [[0.5, 0.5]]), r"labels: received shape \(\)"),
    "rows": (([0], np.eye(3)), r"labels: received shape \(1,\) of int64; accepted are \(3,\)"),
    "two ones": ((np.ones((2, 3)), np.eye(3)[:2]), r"a single 1 in each row"),
    "nan": (([0], [[np.nan, 1]]), "NaN, infinite or negative"),
    "negative": (([0], [[-0.1, 1.1]]), "NaN, infinite or negative"),
    "above 1": (([0], [1.1]), r"received 1\.1; one column goes from 0 to 1"),
    "zeros": (([0], [[0, 0]]), "sums to 0"),
    "no rows": (([], np.zeros((0, 3))), "no rows"),
    "cubes": (([0], np.zeros((1, 2, 3))), r"received shape \(1, 2, 3\)"),
}


@pytest.mark.parametrize("case", BAD_SCORES)
def test_scores_that_cannot_be(case):
    arguments, message = BAD_SCORES[case]
    with pytest.raises(ValueError, match=message):
        log_loss(*arguments)
