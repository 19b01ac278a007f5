"""A stand-in for State Farm's distracted drivers: ten postures, drawn for 38 invented drivers.

A frame shows the driver from the passenger's side, as the dashboard camera of the real set does,
at 160 × 120 pixels (the real frames have 640 × 480). A posture is where hands, phone, cup, head
and gaze are. A driver is skin, hair, clothes, build, seat, camera, light and the view outside,
and also an own way of holding each posture.

The real frames were cut from video, and so are these: a driver holds a posture in a few short
sequences of nearly the same frame. A split by random rows therefore puts near-duplicates on both
sides, a split by driver does not. The drivers of the test folder are not among those of train.
"""

import csv

import numpy as np
from PIL import Image

from utils.standins._driver import Driver
from utils.standins._film import film

__all__ = ["FOLDER", "VERSION", "write"]

FOLDER, VERSION = "state-farm", 2

TRAIN_DRIVERS, TEST_DRIVERS = 26, 12
SIZES = {  # train: sequences of a driver's posture, frames in each; test: the same
    "quick": ((2, 4), (1, 5)),
    "full": ((4, 6), (5, 10)),
}
POSTURES = 10
QUALITY = 88  # of the JPEG files


def write(folder, *, scale, seed):
    """Write the photographs and the two tables, and return what was planted.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder.
    scale : {"quick", "full"}
        About 2,080 or 6,240 frames in `imgs/train`, 600 or 6,000 in `imgs/test`.
    seed : int
        Of everything drawn.

    Returns
    -------
    dict of str to numpy.ndarray
        For all frames, train then test, each in the order of its table: `file` (n,), relative
        to the folder; `posture` (n,), 0 to 9; `driver` (n,), such as `"p002"`; `sequence` (n,),
        a number that frames of one short film share; `train` (n,) bool.
    """
    rng = np.random.default_rng([seed, 0])
    subjects = np.sort(rng.choice(np.arange(2, 100), TRAIN_DRIVERS + TEST_DRIVERS, replace=False))
    held_out = np.isin(np.arange(len(subjects)), rng.choice(len(subjects), TEST_DRIVERS, False))
    scenes = [
        (f"p{subject:03}", bool(test), posture, number, frames)
        for subject, test in zip(subjects, held_out, strict=True)
        for posture in range(POSTURES)
        for number, frames in enumerate(_lengths(rng, *SIZES[scale][int(test)]))
    ]
    total = sum(frames for *_, frames in scenes)
    numbers = iter(rng.permutation(total + total // 40).tolist())

    for posture in range(POSTURES):
        (folder / "imgs" / "train" / f"c{posture}").mkdir(parents=True)
    (folder / "imgs" / "test").mkdir()
    rows = []
    for sequence, (subject, test, posture, number, frames) in enumerate(scenes):
        place = "imgs/test" if test else f"imgs/train/c{posture}"
        for picture in _film(seed, subject, posture, number, frames):
            file = f"{place}/img_{next(numbers)}.jpg"
            picture.save(folder / file, quality=QUALITY)
            rows.append((test, subject, posture, sequence, file))

    # train: by driver and posture, in no order within; test: by name as text, as on Kaggle
    shuffled = [rows[i] for i in rng.permutation(len(rows))]
    train = sorted((row for row in shuffled if not row[0]), key=lambda row: row[1:3])
    test = sorted((row for row in shuffled if row[0]), key=lambda row: row[4])
    _write_table(
        folder / "driver_imgs_list.csv",
        ("subject", "classname", "img"),
        ((subject, f"c{posture}", _name(file)) for _, subject, posture, _, file in train),
    )
    _write_table(
        folder / "sample_submission.csv",
        ("img", *(f"c{posture}" for posture in range(POSTURES))),
        ((_name(row[4]), *[0.1] * POSTURES) for row in test),
    )
    is_test, driver, posture, sequence, file = zip(*train, *test, strict=True)
    return {
        "file": np.array(file),
        "posture": np.array(posture, np.int32),
        "driver": np.array(driver),
        "sequence": np.array(sequence, np.int32),
        "train": ~np.array(is_test),
    }


def _lengths(rng, films, frames):
    """Draw how many frames each film has: about `frames`."""
    return (frames + rng.integers(-1, 2, films)).tolist()


def _film(seed, subject, posture, number, frames):
    """Draw the frames of one film; what a driver looks like depends on seed and subject only."""
    one = [seed, int(subject[1:])]
    driver = Driver.invent(np.random.default_rng([*one, 1]))
    habit = np.random.default_rng([*one, 2, posture])
    rng = np.random.default_rng([*one, 3, posture, number])
    return map(Image.fromarray, film(driver, posture, habit, rng, frames))


def _name(file):
    return file.rpartition("/")[2]


def _write_table(path, header, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header)
        lines.writerows(rows)
