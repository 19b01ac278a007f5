"""`load_statefarm` against layouts with one fault each, and against the real driver list."""

import collections
import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils import switches
from utils.datasets import load_statefarm
from utils.fetch import edition_of, fetch, locate, source_of

pytestmark = pytest.mark.backend_free

LIST, SAMPLE = "driver_imgs_list.csv", "sample_submission.csv"
HEADER = "subject,classname,img\n"
CLASSES = [f"c{number}" for number in range(10)]
SAMPLE_HEADER = f"img,{','.join(CLASSES)}\n"
ROWS = [("p002", "c3", "a.jpg"), ("p002", "c0", "b.jpg"), ("p099", "c9", "c.jpg")]
TESTS = ["img_2.jpg", "img_10.jpg", "img_1.jpg"]


def lay(folder, rows=ROWS, tests=TESTS):
    """Lay out photographs as on Kaggle; no byte of them is a picture, for none is opened."""
    for label in CLASSES:
        (folder / "imgs" / "train" / label).mkdir(parents=True)
    (folder / "imgs" / "test").mkdir()
    for _, label, image in rows:
        (folder / "imgs" / "train" / label / image).touch()
    for image in tests:
        (folder / "imgs" / "test" / image).touch()
    table(folder, "".join(f"{','.join(row)}\n" for row in rows))
    lines = [f"{image},{','.join(['0.1'] * 10)}\n" for image in tests]
    sample(folder, lines)
    return folder


def table(folder, text, header=HEADER):
    (folder / LIST).write_text(header + text, encoding="utf-8")


def sample(folder, lines, header=SAMPLE_HEADER):
    (folder / SAMPLE).write_text(header + "".join(lines), encoding="utf-8")


@pytest.fixture
def layout(tmp_path):
    return lay(tmp_path)


def test_names_postures_and_drivers_in_the_order_of_the_list(layout):
    data = load_statefarm(layout)
    assert data.files.tolist() == [f"imgs/train/{label}/{image}" for _, label, image in ROWS]
    assert data.label.tolist() == [3, 0, 9] and data.label.dtype == np.int32
    assert data.driver.tolist() == ["p002", "p002", "p099"]
    assert data.test_files.tolist() == [f"imgs/test/{image}" for image in TESTS]
    assert data.sample_submission == layout / SAMPLE
    assert data.class_names[3] == "texting left" and len(data.class_names) == 10
    assert (data.source, data.edition[:6], data.folder) == ("real", "other ", layout)
    assert "3 photographs of 2 drivers in 10 postures, 3 unlabelled (real" in repr(data)
    assert len(data) == 3


def test_paths_lead_to_the_files(layout):
    data = load_statefarm(layout)
    assert all(map(os.path.isfile, data.paths() + data.test_paths()))
    assert [Path(path).name for path in data.paths()] == ["a.jpg", "b.jpg", "c.jpg"]
    assert data.paths(np.array([2, 0])) == [data.paths()[2], data.paths()[0]]
    assert data.paths(data.driver == "p099") == data.paths([2])
    assert data.paths(np.zeros(3, bool)) == []


def test_the_test_part_is_optional(layout):
    (layout / SAMPLE).unlink()
    data = load_statefarm(layout)
    assert data.sample_submission is None
    assert data.test_files.tolist() == [f"imgs/test/{image}" for image in sorted(TESTS)]
    for image in TESTS:
        (layout / "imgs" / "test" / image).unlink()
    (layout / "imgs" / "test").rmdir()
    data = load_statefarm(layout)
    assert data.test_files.tolist() == [] == data.test_paths()


def test_other_files_are_no_photographs(layout):
    for name in ("Thumbs.db", ".DS_Store", "._a.jpg"):
        (layout / "imgs" / "train" / "c0" / name).touch()
        (layout / "imgs" / "test" / name).touch()
    assert len(load_statefarm(layout)) == 3


def test_columns_in_any_order_a_mark_spaces_blank_lines(layout):
    text = (
        "img, classname ,note,subject\r\na.jpg,c3,x,p002\r\n\r\nb.jpg, c0,,p002\r\nc.jpg,c9,,p099"
    )
    (layout / LIST).write_bytes(b"\xef\xbb\xbf" + text.encode())
    data = load_statefarm(layout)
    assert data.label.tolist() == [3, 0, 9] and data.driver.tolist() == ["p002", "p002", "p099"]


def move(folder, old, new):
    (folder / "imgs" / old).rename(folder / "imgs" / new)


def add(folder, *names):
    for name in names:
        (folder / "imgs" / name).touch()


LINES = [f"{','.join(row)}\n" for row in ROWS]
ONES = ",".join(["0.1"] * 10)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda f: (f / LIST).unlink(), r"has no driver_imgs_list.csv. This loader reads"),
        (lambda f: move(f, "train", "trian"), r"imgs.train has no folder c0, c1, .*, c9\. "),
        (lambda f: (f / "imgs/train/c5").rmdir(), r"imgs.train has no folder c5\. "),
        (lambda f: (f / "imgs/train/c3/a.jpg").unlink(), r"line 2: there is no a.jpg in .*c3\."),
        (lambda f: add(f, "train/c7/new.jpg"), r"no line for imgs/train/c7/new.jpg \(1 such"),
        (lambda f: add(f, "train/c7/a.jpg"), r"a.jpg lies in c3 and in c7\. A photograph has one"),
        (lambda f: move(f, "train/c0/b.jpg", "train/c1/b.jpg"), r"line 3: b.jpg has class c0 here"),
        (lambda f: table(f, ""), r"has no photographs below its header"),
        (lambda f: (f / LIST).write_text(""), r"line 1: no column subject, .*; there is nothing"),
        (lambda f: table(f, "", "subject,class,img\n"), r"line 1: no column classname; there is s"),
        (
            lambda f: table(f, "".join(LINES) + LINES[1]),
            r"line 5: b.jpg stands on line 3 .*class c0",
        ),
        (
            lambda f: table(f, "".join(LINES) + "p099,c4,b.jpg\n"),
            r"line 5: b.jpg stands on line 3 already \(classes c0 and c4\)",
        ),
        (lambda f: table(f, "p002,c10,a.jpg\n"), r"line 2, column classname: received 'c10'"),
        (lambda f: table(f, "p002,c3\n"), r"line 2: 2 fields, the header has 3"),
        (lambda f: table(f, "\n,c3,a.jpg\n"), r"line 3: received ',c3,a.jpg'"),
        (lambda f: table(f, '"p0"02,c3,a.jpg\n'), r"line 2: ',' expected after '\"'"),
        (lambda f: table(f, "p002,c3,../c3/a.jpg\n"), r"line 2: there is no ../c3/a.jpg in"),
        (lambda f: (f / LIST).write_bytes(b"\xff\xfe"), r"not UTF-8 text"),
        (lambda f: sample(f, [], "img,c0\n"), r"sample_submission.csv, line 1: no column c1, "),
        (lambda f: sample(f, [f"img_3.jpg,{ONES}\n"]), r"line 2: no 'img_3.jpg' in imgs/test"),
        (lambda f: sample(f, [f"img_1.jpg,{ONES}\n"]), r"no line for imgs/test/img_10.jpg \(2 su"),
        (lambda f: sample(f, [f"img_1.jpg,{ONES}\n"] * 2), r"line 3: img_1.jpg stands on line 2"),
        (lambda f: add(f, "test/img_4.jpg"), r"no line for imgs/test/img_4.jpg \(1 such"),
    ],
)
def test_each_fault_is_named_with_its_place(layout, fault, message):
    fault(layout)
    with pytest.raises(ValueError, match=message) as caught:
        load_statefarm(layout)
    assert str(layout) in str(caught.value)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        load_statefarm(tmp_path / "nowhere")


def test_effort_does_not_grow_with_the_photographs(tmp_path, monkeypatch):
    """Each folder is listed once, and no photograph is asked for its state or opened."""

    def effort(folder):
        counts = collections.Counter()
        with monkeypatch.context() as patch:
            for name in ("listdir", "scandir", "stat", "open"):
                patch.setattr(os, name, counted(getattr(os, name), counts, name))
            load_statefarm(folder)
        return counts

    def counted(call, counts, name):
        def counting(*arguments, **options):
            counts[name] += 1
            return call(*arguments, **options)

        return counting

    many = [("p001", f"c{i % 10}", f"img_{i}.jpg") for i in range(500)]
    small = lay(tmp_path / "small", many[:10])
    large = lay(tmp_path / "large", many, [f"t{i}.jpg" for i in range(500)])
    effort(small)  # whatever is only done once
    assert effort(small) == effort(large)
    assert effort(large)["listdir"] == 11


@pytest.mark.real
def test_the_layout_on_kaggle_needs_no_change(tmp_path, monkeypatch):
    """The real driver list, with one tiny photograph for each class under all the real names."""
    table = switches.data_folder() / "state-farm" / LIST
    if not table.is_file():
        pytest.skip(f"no {table}")
    folder = tmp_path / "state-farm"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, label in enumerate([*CLASSES, "test"]):
        (folder / "imgs" / (label if label == "test" else f"train/{label}")).mkdir(parents=True)
        Image.new("RGB", (64, 48), (20 * number, 100, 50)).save(pictures / f"{label}.jpg")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        place = folder / "imgs" / "train" / row["classname"] / row["img"]
        os.link(pictures / f"{row['classname']}.jpg", place)
    listed = {row["img"] for row in rows}
    tests = sorted({f"img_{i}.jpg" for i in range(1, 102_151)} - listed)[:10_000]
    for image in tests:
        os.link(pictures / "test.jpg", folder / "imgs" / "test" / image)
    sample(folder, [f"{image},{ONES}\n" for image in tests])
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path))
    assert locate("statefarm") is None, "the driver list is not there yet"
    (folder / LIST).write_bytes(table.read_bytes())

    assert locate("statefarm") == folder == fetch("statefarm", parts=["imgs/test/", SAMPLE])
    assert source_of("statefarm") == "real" and edition_of("statefarm") == "2016"
    data = load_statefarm()
    assert (data.source, data.edition, len(data)) == ("real", "2016", 22_424)
    assert len(np.unique(data.driver)) == 26
    counts = [2489, 2267, 2317, 2346, 2326, 2312, 2325, 2002, 1911, 2129]
    assert np.bincount(data.label).tolist() == counts
    assert data.files[0] == "imgs/train/c0/img_44733.jpg" and data.driver[0] == "p002"
    assert [re.search("img_.*", f)[0] for f in data.test_files] == tests
    for row in (0, 9_999, 22_423):
        with Image.open(data.paths([row])[0]) as picture:
            assert abs(picture.getpixel((9, 9))[0] - 20 * data.label[row]) < 8


@pytest.mark.real
def test_a_folder_without_labelled_photographs_is_not_complete():
    folder = switches.data_folder() / "state-farm"
    if not (folder / LIST).is_file() or (folder / "imgs" / "train").exists():
        pytest.skip("needs a state-farm folder without imgs/train")
    assert locate("statefarm") is None and source_of("statefarm") == "stand-in"
    with pytest.raises(ValueError, match=r"imgs.train has no folder c0"):
        load_statefarm(folder)
