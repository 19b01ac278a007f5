"""Files that are not what they seem, one of each made by Pillow, and what is read from them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils.images import check_images, load_images

pytestmark = pytest.mark.backend_free

PHOTO = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
PHOTO = np.kron(PHOTO, np.ones((12, 12, 1), np.uint8))  # 72 × 96, in squares of 12


@pytest.fixture
def zoo(tmp_path):
    """Return one path for each kind of file, by name."""
    photo = Image.fromarray(PHOTO)
    clear = photo.copy()
    clear.putalpha(Image.new("L", clear.size, 0))
    palette = photo.quantize(8)
    for image, name in [
        (photo, "fine.jpg"),
        (photo, "fine.JPEG"),
        (photo, "fine.png"),
        (photo.quantize(8), "palette.png"),
        (photo.convert("L"), "grey.jpg"),
        (photo.convert("CMYK"), "cmyk.jpg"),
        (clear, "clear.png"),
        (Image.fromarray(np.full((9, 9), 40_000, np.uint16)), "deep.png"),
    ]:
        image.save(tmp_path / name)
    palette.save(tmp_path / "hole.png", transparency=0)
    photo.save(tmp_path / "png.jpg", format="PNG")
    photo.convert("L").save(tmp_path / "grey_png.jpg", format="PNG")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    whole = (tmp_path / "fine.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    whole = (tmp_path / "fine.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    names = [*sorted(path.name for path in tmp_path.iterdir()), "missing.jpg"]
    return {name: str(tmp_path / name) for name in names}


EXPECTED = {
    "empty": {"empty.jpg"},
    "unreadable": {"text.jpg", "folder.jpg", "cut.jpg", "cut.png", "missing.jpg", "deep.png"},
    "greyscale": {"grey.jpg", "grey_png.jpg"},
    "CMYK": {"cmyk.jpg"},
    "transparent": {"clear.png", "hole.png"},
    "misnamed": {"png.jpg", "grey_png.jpg"},
}


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_each_file_is_told_for_what_it_is(zoo, workers):
    report = check_images(list(zoo.values()), workers=workers)
    assert list(report.paths) == list(zoo.values())
    for kind, names in EXPECTED.items():
        assert {Path(path).name for path in report.which(kind)} == names, kind
    bad = EXPECTED["empty"] | EXPECTED["unreadable"]
    assert [name not in bad for name in zoo] == report.good.tolist()
    assert report.counts["fine"] == 4 == len(zoo) - len(set().union(*EXPECTED.values()))
    assert {Path(path).name for path in report.reasons} == bad
    assert "truncated" in report.reasons[zoo["cut.jpg"]]
    assert "mode I;16" in report.reasons[zoo["deep.png"]]
    table = str(report)
    assert "17 images: 4 fine" in table and "2 misnamed     grey_png.jpg, png.jpg" in table


def test_a_file_that_was_mended_is_looked_at_again(zoo):
    path = zoo["cut.jpg"]
    assert not check_images([path]).good[0]
    Path(path).write_bytes(Path(zoo["fine.jpg"]).read_bytes())
    assert check_images([path]).good[0]


def test_every_cut_is_found(zoo, tmp_path):
    whole = Path(zoo["fine.jpg"]).read_bytes()
    paths = []
    for length in range(0, len(whole) - 2, 97):  # the last two bytes are the end marker
        paths.append(tmp_path / f"cut{length}.jpg")
        paths[-1].write_bytes(whole[:length])
    assert not check_images(paths).good.any()


def test_what_is_good_loads_and_what_is_not_is_refused(zoo):
    report = check_images(list(zoo.values()))
    good = [path for path, fine in zip(report.paths, report.good, strict=True) if fine]
    images = load_images(good, (72, 96))
    assert images.shape == (len(good), 72, 96, 3) and images.dtype == np.uint8
    for path, fine in zip(report.paths, report.good, strict=True):
        if not fine:
            with pytest.raises(ValueError, match=f"1 files .*{Path(path).name} "):
                load_images([path], (8, 8))


def test_modes_become_rgb(zoo):
    def load(name):
        return load_images([zoo[name]], (72, 96))[0].astype(int)

    assert np.array_equal(load("fine.png"), PHOTO)
    assert np.array_equal(load("png.jpg"), PHOTO)
    assert (load("clear.png") == 255).all()
    grey = load("grey_png.jpg")
    assert (grey == grey[..., :1]).all()
    assert abs(grey[..., 0] - PHOTO @ [0.299, 0.587, 0.114]).max() < 1
    assert abs(load("cmyk.jpg") - PHOTO).mean() < 4  # the file is lossy
    assert abs(255 - load("cmyk.jpg") - PHOTO).mean() > 40  # and no negative


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_orientation_is_honoured(tmp_path, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO).save(tmp_path / "a.png", exif=exif)
    expected = upright(PHOTO)
    found = load_images([tmp_path / "a.png"], expected.shape[:2])[0]
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("size", [(24, 32), (32, 24), (60, 20), (224, 224)])
def test_a_large_jpeg_by_the_short_way_is_close_to_the_long_way(tmp_path, size):
    random = np.random.default_rng(0)
    rough = Image.fromarray(random.integers(0, 256, (12, 16, 3)).astype(np.uint8))
    photo = rough.resize((640, 480), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "a.jpg", quality=90)
    found = load_images([tmp_path / "a.jpg"], size)[0].astype(float)
    with Image.open(tmp_path / "a.jpg") as image:
        long_way = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
    assert np.sqrt(np.mean((found - long_way) ** 2)) < 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_images("a.jpg"), "sequence of files"),
        (lambda: check_images([], workers=-1), "workers=-1"),
        (lambda: load_images(["a.jpg"], 224), "size=224"),
        (lambda: load_images(["a.jpg"], (0, 5)), "height, width"),
    ],
)
def test_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_files_no_images():
    assert check_images([]).good.shape == (0,)
    assert load_images([], (2, 3)).shape == (0, 2, 3, 3)
