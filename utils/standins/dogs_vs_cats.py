"""A stand-in for Kaggle's dogs vs cats: pets drawn in many coats, poses and places.

What tells a cat from a dog is the shape of its ears, muzzle, nose and eyes. Coat, pattern, place,
light, scale, tilt and where in the picture the pet is say nothing: both kinds draw them alike. A
linear model of pixels is therefore little better than a coin, a small convolution network much.

Pictures come in ten sizes. Cats have another mix of them than dogs, so that the size alone
tells some: `BEST_BY_SIZE` is the share that the best guess from size alone gets right. Given the
kind, size and looks are independent of each other, so that a size adds what it alone tells.
"""

import csv
import math

import numpy as np
from PIL import Image, ImageDraw

from utils.standins._backdrop import PLACES, backdrop
from utils.standins._pet import Pet, draw_pet

__all__ = ["BEST_BY_SIZE", "FOLDER", "VERSION", "dog_given_size", "write"]

FOLDER, VERSION = "dogs-vs-cats", 1

COUNTS = {"quick": (1_000, 500), "full": (2_500, 1_500)}  # of each kind in train, of all in test
KINDS = ("cat", "dog")
MIX = {  # (height, width): of 100 cats, of 100 dogs
    (112, 84): (20, 8),
    (128, 96): (16, 5),
    (120, 120): (12, 9),
    (84, 140): (4, 19),
    (100, 124): (8, 12),
    (132, 104): (14, 4),
    (96, 128): (8, 14),
    (92, 150): (4, 14),
    (90, 120): (6, 11),
    (104, 104): (8, 4),
}
BEST_BY_SIZE = sum(map(max, MIX.values())) / 200
FINE = 2  # drawn at this multiple of the size, then reduced: smooth edges
QUALITY = 88  # of the JPEG files
GRAIN = 4.0  # of the sensor, in grey levels


def dog_given_size(size):
    """Return the probability that a picture of this (height, width) shows a dog."""
    cats, dogs = MIX[tuple(size)]
    return dogs / (cats + dogs)


def write(folder, *, scale, seed):
    """Write the photographs and the sample submission, and return what was planted.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder.
    scale : {"quick", "full"}
        2,000 or 5,000 pictures in `train`, as many cats as dogs; 500 or 1,500 in `test`, where
        each is a dog with probability one half.
    seed : int
        Of everything drawn.

    Returns
    -------
    dict of str to numpy.ndarray
        For all pictures, train (cats, then dogs) then test, each by number: `file` (n,),
        relative to the folder; `label` (n,), 0 cat and 1 dog; `size` (n, 2), height and width;
        `dog_given_size` (n,), what the size alone tells; `ears`, `coat`, `pattern`, `pose` and
        `place` (n,); `scale` (n,), half the head's width as a share of the shorter side; `train`
        (n,) bool; and `best_by_size`, the accuracy of the best guess from size alone.
    """
    rng = np.random.default_rng([seed, 0])
    each, tests = COUNTS[scale]
    plan = [(f"train/{kind}.{n}.jpg", kind) for kind in KINDS for n in range(each)]
    plan += [(f"test/{n + 1}.jpg", KINDS[int(rng.integers(2))]) for n in range(tests)]
    for part in ("train", "test"):
        (folder / part).mkdir()
    rows = []
    for number, (file, kind) in enumerate(plan):
        picture, row = _photograph(np.random.default_rng([seed, 1, number]), kind)
        picture.save(folder / file, quality=QUALITY)
        rows.append({"file": file, "label": KINDS.index(kind)} | row)
    with (folder / "sample_submission.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("id", "label"))
        lines.writerows((n + 1, 0.5) for n in range(tests))
    planted = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return planted | {
        "label": planted["label"].astype(np.int32),
        "size": planted["size"].astype(np.int32),
        "train": np.arange(len(rows)) < 2 * each,
        "best_by_size": np.array(BEST_BY_SIZE),
    }


def _photograph(rng, kind):
    """Return a picture and what it shows."""
    pet = Pet.invent(rng, kind)
    sizes = list(MIX)
    mix = [MIX[size][KINDS.index(kind)] for size in sizes]
    height, width = sizes[int(rng.choice(len(sizes), p=np.divide(mix, 100)))]
    place = PLACES[int(rng.integers(len(PLACES)))]
    share = math.exp(rng.uniform(math.log(0.13), math.log(0.3)))
    unit = share * min(height, width)
    middle = (rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.55) * height)

    canvas = backdrop(rng, place, FINE * width, FINE * height)
    draw_pet(ImageDraw.Draw(canvas), pet, [FINE * x for x in middle], FINE * unit)
    pixels = np.asarray(canvas.reduce(FINE), np.float32) * _light(rng, height, width)
    pixels += GRAIN * rng.standard_normal((height, width, 1), np.float32)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return picture, {
        "size": (height, width),
        "dog_given_size": dog_given_size((height, width)),
        "ears": pet.ears,
        "coat": pet.coat,
        "pattern": pet.pattern,
        "pose": pet.pose,
        "place": place,
        "scale": share,
    }


def _light(rng, height, width):
    """Return (height, width, 3): the light's colour, and where it comes from."""
    down = 1 + rng.normal(0, 0.1) * np.linspace(-1, 1, height)
    across = rng.normal(0, 0.1) * np.linspace(-1, 1, width)
    tint = math.exp(rng.normal(0, 0.12)) * rng.normal(1, 0.04, 3)
    return (down[:, None] + across).astype(np.float32)[..., None] * tint.astype(np.float32)
