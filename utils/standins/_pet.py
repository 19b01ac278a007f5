"""Draws a cat or a dog: what tells them apart is shape, and all else they share.

The unit is about half the width of the head; its middle is (0, 0), y down. Coats, patterns, poses,
collars and lights are drawn alike for both. A cat's ears are pointed and its muzzle short, a dog's
ears hang and its muzzle is long; but some dogs prick their ears and some cats fold them.
"""

import math
from dataclasses import dataclass

import numpy as np

from utils.standins._paint import RING, rgb, shade

__all__ = ["Brush", "Pet", "draw_pet"]

COATS = [
    "#2b2826", "#4a4644", "#7f7c7a", "#a9a39b", "#efe9df", "#e3cfa8", "#d59a54", "#b06a33",
    "#7d5233", "#553625", "#c9a27a",
]  # fmt: skip
COLLARS = ["#c7362f", "#2f5fa8", "#3d8a55", "#e0b12f", "#7b4a9c", "#2b2b2f"]
PATTERNS = ("plain", "plain", "bib", "bib", "stripes", "patches")
EYES = {
    "cat": ("#b9c24a", "#d8a63a", "#7fae68", "#8fb8cf"),
    "dog": ("#5a3a22", "#3b2717", "#c08a3c"),
}
FOLDED, PRICKED = 0.15, 0.25  # how many cats fold their ears, how many dogs prick them


@dataclass(frozen=True)
class Pet:
    """What a pet looks like, and how it holds itself."""

    kind: str  # "cat" or "dog"
    ears: str  # "pointed", "folded", "hanging" or "pricked"
    coat: str
    second: str  # of bib, stripes or patches
    pattern: str
    eyes: str
    collar: str  # a colour, or nothing
    pose: str  # "sitting" or "lying"
    yaw: float  # where it looks: -1 left, 1 right
    tilt: float  # of the head, in degrees
    wide: float  # of the head, a factor
    tongue: bool
    side: int  # on which the body lies or the tail shows, -1 or 1

    @classmethod
    def invent(cls, rng, kind):
        """Draw one of a kind from a `numpy.random.Generator`."""
        usual, odd, share = ("pointed", "folded", FOLDED)
        if kind == "dog":
            usual, odd, share = ("hanging", "pricked", PRICKED)
        coat, second = rng.choice(len(COATS), 2, replace=False)
        return cls(
            kind=kind,
            ears=odd if rng.random() < share else usual,
            coat=COATS[coat],
            second=COATS[second],
            pattern=PATTERNS[rng.integers(len(PATTERNS))],
            eyes=EYES[kind][rng.integers(len(EYES[kind]))],
            collar=COLLARS[rng.integers(len(COLLARS))] if rng.random() < 0.4 else "",
            pose=("sitting", "lying")[rng.integers(2)],
            yaw=float(np.clip(rng.normal(0, 0.45), -1, 1)),
            tilt=float(np.clip(rng.normal(0, 11), -30, 30)),
            wide=float(rng.normal(1, 0.06)),
            tongue=bool(rng.random() < 0.3),
            side=int(rng.choice((-1, 1))),
        )


class Brush:
    """Draws shapes given in the pet's own unit on a canvas, turned and at their place."""

    def __init__(self, pen, place, unit, turn=0.0, wide=1.0):
        self.pen, (self.x, self.y), self.unit, self.wide = pen, place, unit, wide
        self.cos, self.sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))

    def __call__(self, points):
        return [
            (
                self.x + self.unit * (self.cos * self.wide * x - self.sin * y),
                self.y + self.unit * (self.sin * self.wide * x + self.cos * y),
            )
            for x, y in points
        ]

    def shape(self, points, colour):
        self.pen.polygon(self(points), fill=colour)

    def line(self, points, colour, width):
        width = max(1, round(width * self.unit))
        self.pen.line(self(points), fill=colour, width=width, joint="curve")

    def oval(self, middle, rx, ry, colour, turn=0.0):
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        ring = ((rx * x, ry * y) for x, y in RING)
        self.shape(
            [(middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos) for x, y in ring],
            colour,
        )


def draw_pet(pen, pet, place, unit):
    """Draw a pet with Pillow's pen, its head at a place, `unit` pixels being its unit."""
    _body(Brush(pen, place, unit, pet.tilt / 5), pet)
    head = Brush(pen, place, unit, pet.tilt, pet.wide)
    (_cat_head if pet.kind == "cat" else _dog_head)(head, pet)


# ---- the body, which tells little ----


def _body(brush, pet):
    coat, dark = rgb(pet.coat), shade(pet.coat, 0.78)
    side, cat = pet.side, pet.kind == "cat"
    if pet.pose == "sitting":
        tail = [(0.6, 2.9), (1.3, 2.9), (1.6, 2.3), (1.5, 1.7)]
        tail = tail if cat else [(0.6, 2.7), (1.15, 2.5), (1.45, 2.1)]
        brush.line([(side * x, y) for x, y in tail], dark, 0.24 if cat else 0.3)
        brush.oval((0, 2.2), 1.05, 1.15, dark)
        brush.oval((0, 1.6), 0.82, 1.05, coat)
        legs = [(-0.38, 2.3), (0.38, 2.3)]
        for x, y in legs:
            brush.oval((x, y), 0.27, 0.95, shade(pet.coat, 0.9))
            brush.oval((x, y + 0.85), 0.3, 0.17, coat)
    else:
        tail = [(2.6, 0.9), (3.2, 0.5), (3.3, -0.1), (3.0, -0.4)]
        tail = tail if cat else [(2.6, 0.8), (3.1, 0.3), (3.2, 0.0)]
        brush.line([(side * x, y) for x, y in tail], dark, 0.24 if cat else 0.3)
        brush.oval((side * 1.5, 1.15), 1.5, 0.85, dark)
        brush.oval((side * 1.35, 1.0), 1.4, 0.75, coat)
        brush.oval((side * 2.3, 1.35), 0.62, 0.6, shade(pet.coat, 0.9))
        for x in (-0.35, 0.4):
            brush.oval((x, 1.6), 0.25, 0.5, shade(pet.coat, 0.9), 90 + 8 * side)
            brush.oval((x - 0.4 * side, 1.7), 0.24, 0.17, coat)
    if pet.pattern == "bib":
        brush.oval((0, 1.45), 0.5, 0.75, rgb(pet.second))
    elif pet.pattern == "stripes":
        for step in range(4):
            x, y = (0.0, 1.3 + 0.32 * step) if pet.pose == "sitting" else (0.6 + 0.5 * step, 0.9)
            across = pet.pose == "sitting"
            ends = [(side * x - 0.6, y), (side * x + 0.6, y)]
            ends = ends if across else [(side * x, y - 0.6), (side * (x + 0.1), y + 0.5)]
            brush.line(ends, rgb(pet.second), 0.1)
    elif pet.pattern == "patches":
        x, y = (0.3, 2.0) if pet.pose == "sitting" else (1.7, 0.9)
        brush.oval((side * x, y), 0.55, 0.4, rgb(pet.second), 20)
    if pet.collar:
        brush.line([(-0.62, 0.72), (0, 1.0), (0.62, 0.72)], rgb(pet.collar), 0.2)


# ---- the head, which tells ----


def _cat_head(brush, pet):
    coat, dark, pink = rgb(pet.coat), shade(pet.coat, 0.8), "#d9958f"
    turn = 0.22 * pet.yaw
    for side in (-1, 1):
        if pet.ears == "pointed":
            ear = [(0.95, -0.2), (0.9, -1.35), (0.2, -0.78)]
            inner = [(0.82, -0.42), (0.82, -1.1), (0.4, -0.74)]
        else:  # folded down and forward
            ear = [(0.95, -0.3), (0.92, -0.85), (0.2, -0.82)]
            inner = [(0.92, -0.8), (0.62, -0.42), (0.35, -0.8)]
        brush.shape([(side * x, y) for x, y in ear], dark)
        if pet.ears == "pointed":
            brush.shape([(side * x, y) for x, y in inner], pink)
    brush.oval((0, 0), 1.02, 0.86, coat)
    brush.oval((turn / 2, 0.25), 0.95, 0.6, coat)
    _marks(brush, pet, turn)
    if pet.ears == "folded":
        for side in (-1, 1):
            brush.shape(
                [(side * x, y) for x, y in [(0.92, -0.62), (0.55, -0.38), (0.25, -0.82)]], dark
            )
    pale = shade(pet.second if pet.pattern == "bib" else pet.coat, 1.3)
    for side in (-1, 1):
        brush.oval((turn + side * 0.17, 0.38), 0.23, 0.19, pale)
    for side in (-1, 1):
        middle = (turn + side * 0.4, -0.08)
        brush.oval(middle, 0.24, 0.19, "#1d1a18", 8 * side)
        brush.oval(middle, 0.21, 0.165, rgb(pet.eyes), 8 * side)
        brush.oval((middle[0] + 0.05 * pet.yaw, middle[1]), 0.065, 0.15, "#14110f")
        brush.oval((middle[0] + 0.05, middle[1] - 0.06), 0.035, 0.035, "#ffffff")
    brush.shape([(turn - 0.11, 0.2), (turn + 0.11, 0.2), (turn, 0.32)], pink)
    for side in (-1, 1):
        brush.line([(turn, 0.32), (turn + side * 0.09, 0.45), (turn + side * 0.22, 0.42)],
                   "#2a211d", 0.035)  # fmt: skip
        for slope in (-0.16, 0.02, 0.2):
            brush.line(
                [(turn + side * 0.3, 0.38), (turn + side * 1.2, 0.38 + slope)], "#f4f1ea", 0.02
            )


def _dog_head(brush, pet):
    coat, dark = rgb(pet.coat), shade(pet.coat, 0.72)
    turn = 0.22 * pet.yaw
    for side in (-1, 1):
        if pet.ears == "pricked":
            ear = [(0.85, -0.25), (0.88, -1.2), (0.68, -1.3), (0.15, -0.8)]
            brush.shape([(side * x, y) for x, y in ear], dark)
    brush.oval((0, -0.05), 0.86, 0.92, coat)
    brush.oval((turn / 2, 0.45), 0.66, 0.6, coat)
    _marks(brush, pet, turn)
    if pet.ears == "hanging":
        for side in (-1, 1):
            brush.oval((side * 0.88, 0.02), 0.3, 0.72, dark, -14 * side)
            brush.oval((side * 0.7, -0.55), 0.27, 0.24, dark)
    pale = shade(pet.second if pet.pattern == "bib" else pet.coat, 1.2)
    if pet.tongue:
        brush.oval((1.3 * turn, 0.92), 0.17, 0.3, "#d9707a")
    brush.oval((1.3 * turn, 0.5), 0.47, 0.43, pale)
    brush.oval((1.3 * turn, 0.3), 0.34, 0.34, pale)
    brush.oval((1.5 * turn, 0.22), 0.19, 0.135, "#1b1715")
    brush.oval((1.5 * turn - 0.05, 0.18), 0.05, 0.03, "#77706c")
    brush.line([(1.5 * turn, 0.33), (1.4 * turn, 0.56)], "#2a211d", 0.035)
    for side in (-1, 1):
        brush.line([(1.4 * turn, 0.58), (1.3 * turn + side * 0.3, 0.68)], "#2a211d", 0.04)
        middle = (turn + side * 0.36, -0.2)
        brush.oval(middle, 0.155, 0.145, "#1d1a18")
        brush.oval(middle, 0.125, 0.12, rgb(pet.eyes))
        brush.oval((middle[0] + 0.04 * pet.yaw, middle[1]), 0.075, 0.075, "#14110f")
        brush.oval((middle[0] + 0.04, middle[1] - 0.05), 0.035, 0.035, "#ffffff")


def _marks(brush, pet, turn):
    """Draw what a pattern leaves on the forehead, the same on both kinds."""
    if pet.pattern == "bib":
        brush.shape([(turn - 0.1, -0.8), (turn + 0.1, -0.8), (turn + 0.2, 0.3), (turn - 0.2, 0.3)],
                    rgb(pet.second))  # fmt: skip
    elif pet.pattern == "stripes":
        for x in (-0.25, 0.0, 0.25):
            brush.line([(turn + x, -0.8), (turn + 0.8 * x, -0.42)], rgb(pet.second), 0.08)
    elif pet.pattern == "patches":
        brush.oval((turn + 0.42 * pet.side, -0.18), 0.38, 0.42, rgb(pet.second), 15)
