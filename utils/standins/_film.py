"""Films a driver who holds a posture, frame by frame, from the passenger's side."""

import functools
import math

import numpy as np

from utils.standins._cabin import cabin, scenery
from utils.standins._driver import moved, usual
from utils.standins._paint import FINE, HEIGHT, MARGIN, WIDTH, Paint
from utils.standins._person import person

__all__ = ["film"]

GRAIN = 3.0  # of the sensor, in grey levels

# standard deviations: of a hand in pixels, of the angles in degrees
HABIT = {"hand": 3.0, "yaw": 9.0, "pitch": 5.0, "lean": 2.0, "hold": 14.0}
TAKE = {"hand": 1.6, "yaw": 5.0, "pitch": 3.0, "lean": 1.0, "hold": 5.0}
FRAME = {"hand": 0.5, "yaw": 1.2, "pitch": 0.8, "lean": 0.25, "hold": 1.5}


def film(driver, posture, habit, rng, frames):
    """Draw a short film of a driver who holds a posture.

    Parameters
    ----------
    driver : Driver
    posture : int
        0 to 9.
    habit : numpy.random.Generator
        The same for all films of this driver in this posture: how they hold it.
    rng : numpy.random.Generator
        This film's own.
    frames : int
        How many.

    Returns
    -------
    list of numpy.ndarray
        Each (120, 160, 3) uint8.
    """
    pose = moved(moved(usual(driver, posture), habit, HABIT), rng, TAKE)
    shake, passed = rng.normal(0, 1.2, 2), rng.uniform(0, 2 * WIDTH)
    grain = GRAIN * rng.standard_normal((HEIGHT + frames, WIDTH, 3), np.float32)
    light = math.exp(rng.normal(0, 0.06))
    pictures = []
    for frame in range(frames):
        picture = draw(
            driver,
            moved(pose, rng, FRAME),
            shake=np.clip(shake + rng.normal(0, 0.4, 2), -MARGIN / 2, MARGIN / 2),
            passed=passed + 3 * frame,
            light=light * math.exp(rng.normal(0, 0.01)),
        )
        picture += grain[frame : frame + HEIGHT]
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures


def draw(driver, pose, *, shake, passed, light):
    """Draw one frame.

    Parameters
    ----------
    driver : Driver
    pose : Pose
    shake : (float, float)
        How far the camera has moved, in pixels, at most `MARGIN` / 2.
    passed : float
        How far the view outside has moved, in pixels.
    light : float
        Factor on the driver's own light.

    Returns
    -------
    numpy.ndarray
        (120, 160, 3) float32, 0 to 255.
    """
    view = scenery(driver.place, driver.horizon, driver.seed)
    inside, windows, box = cabin(driver)
    canvas = inside.copy()
    step = int(passed * FINE) % (view.width - canvas.width)
    canvas.paste(view.crop((box[0] + step, box[1], box[2] + step, box[3])), box, windows)
    person(Paint(canvas, driver), driver, pose)
    left, top = (round((MARGIN + move) * FINE) for move in shake)
    canvas = canvas.crop((left, top, left + WIDTH * FINE, top + HEIGHT * FINE)).reduce(FINE)
    return np.asarray(canvas, np.float32) * _lit(driver.light, driver.sun) * np.float32(light)


@functools.lru_cache(maxsize=4)
def _lit(light, sun):
    """Return (120, 160, 3): the colour of the light, and where it falls from."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j].astype(np.float32)
    field = np.clip(1 + sun[0] * x + sun[1] * y, 0.6, 1.4)
    return field[..., None] * np.array(light, np.float32)
