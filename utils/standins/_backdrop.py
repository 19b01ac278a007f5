"""Paints what a pet is photographed in front of, out of focus, with no regard to the pet."""

import math

from PIL import Image, ImageDraw, ImageFilter

from utils.standins._paint import shade

__all__ = ["PLACES", "backdrop"]

PLACES = ("meadow", "room", "sofa", "beach", "snow", "street")
WALLS = ["#d9cfc0", "#b9c4c9", "#c9b7a6", "#a8b5a0", "#cdbcc4", "#8f9aa6", "#d8c9a0"]
CLOTHS = ["#8a4b42", "#4d6480", "#6f7f5a", "#b08a5a", "#5d4e66", "#a9a49c", "#3f4a4d"]
SKIES = ["#cfe0ee", "#e6e9ea", "#a9c7e4", "#f0ddc4"]
GROUNDS = {
    "meadow": ("#7fa355", "#5f8746", "#98b46a"),
    "beach": ("#dcc79a", "#cdb589", "#e8d8b2"),
    "snow": ("#e8edf2", "#d6dfe8", "#f5f7f9"),
    "street": ("#9a9894", "#86837f", "#aeaca8"),
}


def backdrop(rng, place, width, height):
    """Return a Pillow image of a place; sizes in pixels."""
    canvas = Image.new("RGB", (width // 4, height // 4))  # nothing sharp is lost
    pen = ImageDraw.Draw(canvas)
    wide, high = canvas.size
    if place in GROUNDS:
        _outside(rng, pen, place, wide, high)
    else:
        _inside(rng, pen, place, wide, high)
    blurred = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
    return blurred.resize((width, height), Image.Resampling.BILINEAR)


def _outside(rng, pen, place, wide, high):
    sky, ground = _pick(rng, SKIES), GROUNDS[place]
    horizon = rng.uniform(0.15, 0.55) * high
    pen.rectangle((0, 0, wide, horizon), fill=shade(sky, rng.uniform(0.8, 1.1)))
    pen.rectangle((0, horizon, wide, high), fill=shade(ground[0], rng.uniform(0.8, 1.15)))
    far = {"meadow": "#5b7d4c", "beach": "#7fb0c4", "snow": "#7d8b8a", "street": "#a58f7f"}[place]
    for x in rng.uniform(0, wide, 7):  # trees, waves, firs or houses
        tall, across = rng.uniform(0.05, 0.45) * horizon, rng.uniform(0.08, 0.3) * wide
        tone = shade(far, rng.uniform(0.75, 1.25))
        if place == "street":
            pen.rectangle((x, horizon - 2 * tall, x + across, horizon), fill=tone)
        elif place == "beach":
            pen.rectangle((0, horizon - tall / 3, wide, horizon), fill=tone)
        else:
            pen.ellipse((x - across, horizon - 2 * tall, x + across, horizon + tall / 3), fill=tone)
    for _ in range(14):  # tufts, stones, leaves
        x, y = rng.uniform(0, wide), rng.uniform(horizon, high)
        size = rng.uniform(0.01, 0.07) * wide
        tone = shade(_pick(rng, ground[1:]), rng.uniform(0.8, 1.2))
        pen.ellipse((x - size, y - size / 3, x + size, y + size / 3), fill=tone)


def _inside(rng, pen, place, wide, high):
    wall, cloth = _pick(rng, WALLS), _pick(rng, CLOTHS)
    floor = rng.uniform(0.5, 0.8) * high
    pen.rectangle((0, 0, wide, high), fill=shade(wall, rng.uniform(0.7, 1.1)))
    for _ in range(rng.integers(1, 4)):  # pictures or windows
        x, y = rng.uniform(-0.1, 0.9) * wide, rng.uniform(0, 0.3) * high
        across, tall = rng.uniform(0.1, 0.3) * wide, rng.uniform(0.1, 0.35) * high
        pen.rectangle((x, y, x + across, y + tall), fill=shade(_pick(rng, SKIES + CLOTHS), 1.0))
    if place == "room":
        pen.rectangle((0, floor, wide, high), fill=shade("#a3744c", rng.uniform(0.6, 1.3)))
        if rng.random() < 0.6:  # a rug
            left, right = rng.uniform(-0.2, 0.2) * wide, rng.uniform(0.8, 1.2) * wide
            pen.ellipse((left, floor + 0.05 * high, right, 1.1 * high), fill=shade(cloth, 1.1))
        return
    pen.rectangle((0, 0.35 * high, wide, high), fill=shade(cloth, 0.85))
    for cushion in range(3):
        x = (cushion / 3 + rng.uniform(-0.1, 0.1)) * wide
        tone = shade(cloth if rng.random() < 0.7 else _pick(rng, CLOTHS), rng.uniform(0.85, 1.25))
        pen.rounded_rectangle(
            (x, 0.3 * high, x + 0.36 * wide, floor), fill=tone, radius=max(1, wide // 14)
        )
    pen.rectangle((0, floor, wide, high), fill=shade(cloth, rng.uniform(0.95, 1.2)))
    for _ in range(3):  # folds
        x, y = rng.uniform(0, wide), rng.uniform(floor, high)
        reach = rng.uniform(0.1, 0.4) * wide
        lean = math.sin(rng.uniform(-0.5, 0.5)) * reach
        pen.line((x, y, x + reach, y + lean), fill=shade(cloth, 0.7), width=1)


def _pick(rng, things):
    return things[int(rng.integers(len(things)))]
