"""Invents a driver, and says where hands, head and gaze are in each of ten postures."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from utils.standins._cabin import PLACES

__all__ = ["Driver", "moved", "usual"]

SKINS = ["#f6d3bd", "#eebf9f", "#e0a883", "#c98b63", "#a86c47", "#855034", "#613823", "#f2c9b4"]
HAIRS = ["#1c1613", "#2f211a", "#4b3020", "#6e4526", "#a5713c", "#d3a961", "#8d8a87", "#7d3420"]
CLOTHES = [
    "#2f4a6d", "#7c2f38", "#d9d4c7", "#3f6b4f", "#26262b", "#c88a2e", "#6b4f86", "#b8c7d6",
    "#c45d47", "#4e8594", "#8a8f5a", "#e3b7b0", "#5a3b32", "#f0efe9", "#39405a",
]  # fmt: skip
TROUSERS = ["#34476a", "#26262c", "#6d6252", "#4a5d80", "#3c3c44", "#8a7d68"]
SEATS = ["#8f8b84", "#2c2b2d", "#b3a58c", "#57534f", "#3d4149"]
HAIR_STYLES = ("short", "short", "crop", "bald", "bob", "long", "long", "bun", "cap", "curly")
PATTERNS = ("plain", "plain", "plain", "stripes", "checks", "open")


@dataclass(frozen=True)
class Pose:
    """Where everything is in one frame; angles in degrees."""

    right: tuple  # the hand nearest to the camera
    left: tuple  # the other one
    in_right: str = ""  # "phone", "cup", "brush" or nothing
    in_left: str = ""
    yaw: float = 78.0  # the head: 90 looks along the road, 0 into the camera, below 0 behind
    pitch: float = 0.0  # up
    lean: float = 0.0  # of the torso, forward
    gaze: tuple = (0.0, 0.0)
    mouth: float = 0.15  # how far open
    hold: float = 0.0  # turn of the phone or cup in the hand


ON_WHEEL = (113, 79)  # where the right hand holds it
HAIR = Pose(right=(75, 29), left=(126, 52), pitch=6, yaw=66)
POSTURES = (
    Pose(right=ON_WHEEL, left=(126, 50)),  # safe driving
    Pose(right=(97, 77), left=(126, 50), in_right="phone", pitch=-24, yaw=70),  # texting, right
    Pose(right=(65, 43), left=(126, 52), in_right="phone", hold=80),  # on the phone, right
    Pose(right=ON_WHEEL, left=(105, 62), in_left="phone", pitch=-20, yaw=76),  # texting, left
    Pose(right=ON_WHEEL, left=(83, 42), in_left="phone", hold=80),  # on the phone, left
    Pose(right=(144, 86), left=(126, 50), yaw=62, pitch=-10, lean=6),  # at the radio
    Pose(right=(87, 50), left=(126, 50), in_right="cup", pitch=10),  # drinking
    Pose(right=(20, 82), left=(124, 54), yaw=-22, pitch=-12, lean=-5),  # reaching behind
    HAIR,
    Pose(right=ON_WHEEL, left=(126, 50), yaw=14, mouth=0.8),  # talking to the passenger
)


@dataclass(frozen=True)
class Driver:
    """What stays the same in all frames of one driver."""

    skin: str
    hair: str
    style: str
    beard: bool
    glasses: str
    shirt: str
    under: str
    pattern: str
    sleeves: float
    trousers: str
    seat: str
    car: float
    place: str
    horizon: float
    build: float
    height: float
    head: float
    zoom: float
    shift: tuple
    light: tuple
    sun: tuple
    rest: tuple
    makeup: bool
    cup: str
    phone: str
    seed: int

    @classmethod
    def invent(cls, rng):
        """Draw one from a `numpy.random.Generator`."""

        def pick(things):
            return things[rng.integers(len(things))]

        shirt = pick(CLOTHES)
        style = pick(HAIR_STYLES)
        return cls(
            skin=pick(SKINS),
            hair=pick(HAIRS),
            style=style,
            beard=bool(style in ("short", "crop", "bald", "cap") and rng.random() < 0.4),
            glasses=pick(("", "", "clear", "sun")),
            shirt=shirt,
            under=pick([c for c in CLOTHES if c != shirt]),
            pattern=pick(PATTERNS),
            sleeves=pick((0.45, 0.6, 1.9, 2.0, 1.4)),
            trousers=pick(TROUSERS),
            seat=pick(SEATS),
            car=float(rng.uniform(0.75, 1.3)),
            place=pick(list(PLACES)),
            horizon=float(rng.uniform(30, 48)),
            build=float(np.clip(rng.normal(1, 0.13), 0.8, 1.35)),
            height=float(rng.normal(0, 2.0)),
            head=float(rng.normal(12.6, 0.6)),
            zoom=float(rng.uniform(0.95, 1.08)),
            shift=(float(rng.normal(0, 3)), float(rng.normal(0, 2))),
            light=tuple(float(x) for x in rng.uniform(0.86, 1.1) * rng.normal(1, 0.03, 3)),
            sun=tuple(float(x) for x in rng.normal(0, 0.1, 2)),
            rest=pick((ON_WHEEL, ON_WHEEL, ON_WHEEL, (95, 97))),
            makeup=bool(rng.random() < 0.4),
            cup=pick(("paper", "bottle", "mug")),
            phone=pick(("#17181c", "#e9e9ee", "#22304f", "#8d2b3a")),
            seed=int(rng.integers(2**31)),
        )


def moved(pose, rng, by):
    """Return a pose that differs a little, `by` the standard deviations of its parts."""
    a, b, c, d, yaw, pitch, lean, hold, mouth, *gaze = rng.standard_normal(11).tolist()
    hand = by["hand"]
    return dataclasses.replace(
        pose,
        right=(pose.right[0] + hand * a, pose.right[1] + hand * b),
        left=(pose.left[0] + hand * c, pose.left[1] + hand * d),
        yaw=pose.yaw + by["yaw"] * yaw,
        pitch=pose.pitch + by["pitch"] * pitch,
        lean=pose.lean + by["lean"] * lean,
        hold=pose.hold + by["hold"] * hold,
        mouth=min(1.0, max(0.0, pose.mouth + 0.02 * by["yaw"] * mouth)),
        gaze=(0.3 * gaze[0], pose.gaze[1] + 0.2 * gaze[1]),
    )


def usual(driver, posture):
    """Return a posture as this driver takes it on the whole."""
    pose = POSTURES[posture]
    if pose.right == ON_WHEEL:
        pose = dataclasses.replace(pose, right=driver.rest)
    if POSTURES[posture] is HAIR and driver.makeup:
        pose = dataclasses.replace(pose, right=(86, 38), in_right="brush", pitch=12)
    return pose
