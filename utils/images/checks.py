"""Which files are not what they seem: looked at before training, not found out during it."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from utils._whole_numbers import whole_number

__all__ = ["ImageReport", "check_images"]

SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".mpo"},  # what some cameras and phones write as .jpg
    "PNG": {".png"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
}
KINDS = {
    "empty": "no bytes",
    "unreadable": "missing, cut off, or no 8-bit image",
    "greyscale": "one channel; read as RGB with three equal ones",
    "CMYK": "ink colours; converted to RGB",
    "transparent": "laid on white",
    "misnamed": "another format than the name says; read as what it is",
}


@dataclass(frozen=True, eq=False, repr=False)
class ImageReport:
    """What was found in a list of image files.

    Attributes
    ----------
    paths : tuple of str
        The n files, in the order given.
    found : dict
        From each kind ("empty", "unreadable", "greyscale", "CMYK", "transparent", "misnamed") to
        a (n,) bool mask. A file may be of several; one of none is fine.
    reasons : dict
        From the path of each file that cannot be read to the reason.
    """

    paths: tuple
    found: dict
    reasons: dict

    @property
    def good(self):
        """(n,) bool: can be read, as RGB if need be."""
        return ~(self.found["empty"] | self.found["unreadable"])

    @property
    def fine(self):
        """(n,) bool: of none of the kinds."""
        return ~np.any(list(self.found.values()), axis=0)

    @property
    def counts(self):
        """How many files are of each kind, and how many are fine."""
        return {"fine": int(self.fine.sum())} | {k: int(m.sum()) for k, m in self.found.items()}

    def which(self, kind):
        """Return the paths of one kind."""
        return [self.paths[row] for row in np.flatnonzero(self.found[kind])]

    def __str__(self):
        lines = [f"{len(self.paths):,} images: {self.fine.sum():,} fine"]
        for kind in KINDS:
            names = [Path(path).name for path in self.which(kind)]
            if names:
                some = ", ".join(names[:3]) + (", …" if names[3:] else "")
                lines.append(f"{len(names):>7,} {kind:<12} {some} ({KINDS[kind]})")
        return "\n".join(lines)

    __repr__ = __str__


def check_images(paths, *, workers=4):
    """Find out which files are images that can be decoded to their end, and of what kind.

    JPEGs are decoded at an eighth of their size, which reads all their bytes in a fraction of
    the time. What was found is remembered as long as a file's size and time stay the same.

    Parameters
    ----------
    paths : sequence of paths
        The files.
    workers : int
        Files that are looked at at the same time.

    Returns
    -------
    ImageReport
        `report.good` is the mask of those that can be used; `print(report)` is a small table.

    Raises
    ------
    ValueError
        If `paths` is a single path, or `workers` is below 0.
    """
    paths = as_paths(paths)
    looks = in_parallel(_look_at, paths, workers)
    found = {
        kind: np.fromiter((kind in kinds for kinds, _ in looks), bool, len(looks)) for kind in KINDS
    }
    reasons = {path: reason for path, (_, reason) in zip(paths, looks, strict=True) if reason}
    return ImageReport(tuple(paths), found, reasons)


def decode(path, size):
    """Read one file as RGB.

    Turned upright as its EXIF orientation says; greyscale, palette and CMYK converted; transparent
    parts laid on white; squashed to `size` by Pillow's antialiased bilinear filter. A JPEG
    that is more than four times as large is decoded at a half, a quarter or an eighth of its
    size, never below twice `size`: within half a grey level (root mean square) of the long way.

    Parameters
    ----------
    path : path
        The file.
    size : (int, int)
        Height and width of what is returned.

    Returns
    -------
    numpy.ndarray
        (height, width, 3) uint8.

    Raises
    ------
    OSError
        If it is missing, cut off, or no image.
    """
    height, width = size
    with Image.open(path) as image:
        enough = 2 * max(size)  # for both sides, as the picture may lie on one of them
        image.draft("RGB", (enough, enough))
        return np.asarray(_as_rgb(image).resize((width, height), Image.Resampling.BILINEAR))


def in_parallel(function, things, workers):
    """Return [function(thing) for thing in things], by several threads."""
    whole_number("workers", workers, least=0)
    if workers < 2 or len(things) < 2:
        return [function(thing) for thing in things]
    with ThreadPoolExecutor(min(workers, len(things))) as pool:  # Pillow decodes without the GIL
        return list(pool.map(function, things))


def as_paths(paths):
    """Return a list of str; refuse a single path, which would be read letter by letter."""
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise ValueError(f"paths={paths!r}: must be a sequence of files, such as [{paths!r}].")
    return [os.fspath(path) for path in paths]


def _as_rgb(image):
    if image.mode not in {"RGB", "L", "1", "CMYK", "P", "PA", "LA", "RGBA", "RGBX", "YCbCr", "LAB"}:
        raise OSError(f"its pixels are of Pillow's mode {image.mode}, not of 8 bits a channel")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _look_at(path):
    """Return a file's kinds, and why it cannot be read."""
    try:
        state = Path(path).stat()
    except OSError as error:
        return frozenset({"unreadable"}), error.strerror
    return _remembered_look(path, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=200_000)
def _remembered_look(path, size, modified):
    if size == 0:
        return frozenset({"empty"}), "empty"
    try:
        with Image.open(path) as image:
            kinds = set()
            if image.mode in ("L", "1", "LA"):
                kinds.add("greyscale")
            if image.mode == "CMYK":
                kinds.add("CMYK")
            if image.has_transparency_data:
                kinds.add("transparent")
            if Path(path).suffix.lower() not in SUFFIXES.get(image.format, {image.format}):
                kinds.add("misnamed")
            image.draft("RGB", (1, 1))
            _as_rgb(image)
    except Exception as error:  # Pillow's readers raise whatever a broken file leads them to
        return frozenset({"unreadable"}), str(error) or type(error).__name__
    return frozenset(kinds), None
