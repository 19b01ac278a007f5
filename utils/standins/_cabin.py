"""Draws the car's cabin, and what passes by its windows."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from utils.standins._paint import FINE, MARGIN, RING, Paint, canvas_size, shade

__all__ = ["PLACES", "cabin", "scenery"]

PLACES = {  # sky, far, near, ground
    "park": ("#eef6ee", "#9cc48d", "#76a765", "#b4c98f"),
    "street": ("#f4f3ef", "#c7bfb4", "#a79b90", "#a5a4a2"),
    "field": ("#fbf7e6", "#c9cf9a", "#b6b877", "#d6c691"),
    "sea": ("#e9f3f8", "#a9cbd9", "#86b3c6", "#d8cfb6"),
    "town": ("#e6e9ee", "#a3adba", "#848e9c", "#8c8f93"),
    "evening": ("#fbe3c6", "#d9a883", "#a9796a", "#8d7a72"),
    "wood": ("#dfeedd", "#6f9a6c", "#4f7d55", "#7f9a70"),
}
WHEEL = (122, 66)  # its middle; an ellipse, for it is seen from the side


@functools.lru_cache(maxsize=4)
def scenery(place, horizon, seed):
    """Paint what passes by the windows: a strip wider than the frame."""
    sky, far, near, ground = PLACES[place]
    rng = np.random.default_rng(seed)
    width, height = canvas_size()
    width *= 3
    view = Image.new("RGB", (width, height), shade(sky, 1.25))
    pen = ImageDraw.Draw(view)
    line = (MARGIN + horizon) * FINE
    built = place in ("street", "town", "evening")
    for colour, low, high, count in ((far, 8, 26, 26), (near, 4, 16, 34)):
        for x in rng.uniform(0, width, count):
            tall, wide = rng.uniform(low, high) * FINE, rng.uniform(10, 34) * FINE
            tone = shade(colour, float(rng.uniform(0.88, 1.15)))
            if built:
                pen.rectangle((x, line - tall, x + wide, line), fill=tone)
                for window in np.arange(x + 6, x + wide - 6, 9.0):
                    pen.rectangle((window, line - tall + 6, window + 4, line - tall + 11), fill=sky)
            elif place != "sea":
                pen.ellipse((x - wide / 2, line - tall, x + wide / 2, line + tall), fill=tone)
    pen.rectangle((0, line, width, height), fill=ground)
    pen.rectangle((0, line + 10 * FINE, width, line + 13 * FINE), fill=shade(ground, 1.5))
    return view.filter(ImageFilter.GaussianBlur(1.6 * FINE))


@functools.lru_cache(maxsize=4)
def cabin(driver):
    """Paint the car: a picture, the mask of its windows, and the box around them."""
    canvas = Image.new("RGB", canvas_size(), shade("#4a4c51", driver.car))
    paint = Paint(canvas, driver)
    dark, mid, pale = (shade(c, driver.car) for c in ("#25272b", "#43464c", "#6d7077"))
    seat = driver.seat

    # the roof, the door with its rest, handle and speaker
    paint.shape([(-30, -30), (190, -30), (190, 2), (120, 4), (40, 9), (-30, 14)], pale)
    paint.shape([(-30, 58), (60, 55), (140, 53), (150, 140), (-30, 140)], mid)
    paint.shape([(-30, 56), (140, 51), (140, 55), (-30, 60)], dark)
    paint.shape([(60, 76), (112, 72), (116, 79), (60, 84)], pale)
    paint.oval((100, 96), 9, 8, dark)
    paint.oval((100, 96), 7, 6, shade("#242529", driver.car))
    # the seat behind, and its belt
    paint.shape([(-30, 72), (12, 66), (26, 78), (28, 140), (-30, 140)], shade(seat, 0.6))
    paint.line([(8, 66), (14, 100)], shade(seat, 0.45), 1)
    # the dashboard: gauges, vents, the radio with its lights
    paint.shape([(132, 50), (146, 42), (200, 40), (200, 140), (146, 140), (138, 100)], dark)
    paint.shape([(132, 50), (146, 42), (200, 40), (200, 44), (147, 46), (134, 54)], pale)
    for x, y, wide in ((142, 55, 3.6), (150, 52, 3.2)):
        paint.oval((x, y), wide, wide * 1.25, "#a9b0b8")
        paint.oval((x, y), wide - 1, (wide - 1) * 1.25, "#10131a")
        paint.line([(x, y), (x + 1.2, y - 2.4)], "#ff7a4d", 0.7)
    paint.shape([(147, 70), (175, 66), (175, 74), (148, 78)], shade(mid, 0.7))
    paint.shape([(148, 80), (175, 76), (175, 90), (150, 93)], "#14161b")
    paint.shape([(151, 82), (172, 79), (172, 83), (151.5, 86)], "#4fc3d9")
    for x in (153, 158):
        paint.oval((x, 89), 1.3, 1.3, "#b9bdc4")
    # the console between the seats
    paint.shape([(96, 120), (150, 106), (160, 140), (90, 140)], shade(dark, 0.9))
    paint.oval((120, 119), 6, 2.5, "#0e0f11")
    # the driver's seat
    paint.shape(
        [(30, 52), (36, 46), (55, 46), (62, 56), (66, 106), (104, 108), (106, 140), (26, 140)],
        shade(seat, 0.92),
    )
    paint.shape([(30, 52), (36, 46), (43, 46), (40, 140), (26, 140)], shade(seat, 0.74))
    paint.line([(46, 49), (51, 110)], shade(seat, 0.7), 0.8)
    paint.line([(42, 47), (43, 40)], "#9a9a9a", 1.2)
    paint.line([(52, 47), (52, 40)], "#9a9a9a", 1.2)
    paint.shape(
        [(34, 40), (32, 27), (36, 19), (50, 17), (57, 21), (59, 36), (55, 42), (40, 43)],
        shade(seat, 0.95),
    )
    paint.shape([(34, 40), (32, 27), (36, 19), (41, 18), (41, 43), (38, 43)], shade(seat, 0.76))

    windows = Image.new("L", canvas_size(), 0)
    hole = Paint(windows, driver)
    hole.shape([(-30, 17), (22, 13), (26, 54), (-30, 56)], 255)  # the rear window
    hole.shape([(30, 12), (112, 7), (122, 14), (136, 40), (138, 50), (32, 53)], 255)
    hole.shape([(128, 5), (200, 4), (200, 39), (147, 41)], 255)  # the windscreen
    for shape in (
        [(34, 40), (32, 27), (36, 19), (50, 17), (57, 21), (59, 36), (55, 42), (40, 43)],
        [(30, 52), (36, 46), (55, 46), (62, 56), (66, 106), (30, 106)],
        [(42, 40), (53, 40), (53, 47), (42, 47)],
    ):
        hole.shape(shape, 0)
    # the mirror outside, the grip at the pillar
    for p in (hole, paint):
        full = p is hole
        p.shape([(129, 37), (135, 34), (138, 42), (131, 45)], 0 if full else mid)
        p.shape([(130.5, 38), (134, 36), (136, 41), (132, 43)], 0 if full else "#cfe0e8")
    # the wheel: in front of the door and of the view
    for p in (hole, paint):
        full = p is hole
        ring = [(WHEEL[0] + 9.5 * x - 3.2 * y, WHEEL[1] + 21 * y) for x, y in RING]
        p.line([*ring, ring[0], ring[1]], 0 if full else "#17181a", 3.6)
        p.shape([(119, 60), (128, 62), (134, 74), (124, 76)], 0 if full else "#222327")
        p.line([(WHEEL[0] - 9, 68), (127, 68)], 0 if full else "#222327", 3)
        p.line([(127, 72), (118, 84)], 0 if full else "#222327", 3)
    box = windows.getbbox()
    return canvas, windows.crop(box), box
