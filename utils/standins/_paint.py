"""Draws flat shapes on a canvas, given in pixels of the finished frame, as a camera sees them.

A frame is 160 × 120, x to the right (where the car drives), y down. Everything is drawn at twice
that size and reduced, so that edges are smooth.
"""

import math

from PIL import ImageDraw

__all__ = ["FINE", "HEIGHT", "MARGIN", "RING", "WIDTH", "Paint", "canvas_size", "rgb", "shade"]

WIDTH, HEIGHT = 160, 120
FINE = 2  # drawn at this multiple of the size
MARGIN = 12  # drawn around the frame, so that the camera can shake

RING = [(math.cos(a * math.pi / 12), math.sin(a * math.pi / 12)) for a in range(24)]


def canvas_size():
    return (WIDTH + 2 * MARGIN) * FINE, (HEIGHT + 2 * MARGIN) * FINE


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def shade(colour, factor):
    """Return a colour made darker (below 1) or lighter (above 1)."""
    red, green, blue = rgb(colour) if isinstance(colour, str) else colour
    if factor <= 1:
        return int(red * factor), int(green * factor), int(blue * factor)
    return tuple(int(255 - (255 - x) * (2 - min(factor, 2))) for x in (red, green, blue))


class Paint:
    """Draws shapes given in pixels of the frame, as a driver's camera sees them."""

    def __init__(self, canvas, driver):
        self.canvas, self.pen = canvas, ImageDraw.Draw(canvas)
        self.scale = FINE * driver.zoom
        self.x = FINE * (MARGIN + WIDTH / 2 + driver.shift[0]) - self.scale * WIDTH / 2
        self.y = FINE * (MARGIN + HEIGHT / 2 + driver.shift[1]) - self.scale * HEIGHT / 2

    def __call__(self, points):
        return [(self.x + self.scale * x, self.y + self.scale * y) for x, y in points]

    def shape(self, points, colour):
        self.pen.polygon(self(points), fill=colour)

    def line(self, points, colour, width):
        width = max(1, round(width * self.scale))
        self.pen.line(self(points), fill=colour, width=width, joint="curve")

    def oval(self, middle, rx, ry, colour, turn=0.0):
        if not turn:
            (left, top), (right, bottom) = self(
                [(middle[0] - rx, middle[1] - ry), (middle[0] + rx, middle[1] + ry)]
            )
            self.pen.ellipse((left, top, right, bottom), fill=colour)
            return
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        ring = ((rx * x, ry * y) for x, y in RING)
        self.shape(
            [(middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos) for x, y in ring],
            colour,
        )

    def limb(self, start, end, first, second, colour):
        """Draw a limb that is `first` thick at its start and `second` at its end, round at both."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = math.hypot(dx, dy) or 1.0
        nx, ny = -dy / length / 2, dx / length / 2
        self.shape(
            [
                (start[0] + nx * first, start[1] + ny * first),
                (end[0] + nx * second, end[1] + ny * second),
                (end[0] - nx * second, end[1] - ny * second),
                (start[0] - nx * first, start[1] - ny * first),
            ],
            colour,
        )
        for (x, y), wide in ((start, first), (end, second)):
            self.oval((x, y), wide / 2, wide / 2, colour)
