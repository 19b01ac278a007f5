"""Draws a person at the wheel: legs, torso, arms with what they hold, and the head."""

import functools
import math

from PIL import Image, ImageDraw

from utils.standins._paint import FINE, RING, Paint, canvas_size, rgb, shade

__all__ = ["person"]


def person(paint, driver, pose):
    """Draw a `Driver` in a `Pose` with a `Paint`, from the far arm to the near one."""
    skin = driver.skin
    wide = driver.build
    hip = (62.0, 108.0)

    def leaned(x, y):
        turn = math.radians(pose.lean)
        y = y + driver.height * (108 - y) / 70
        dx, dy = x - hip[0], y - hip[1]
        return (
            hip[0] + dx * math.cos(turn) - dy * math.sin(turn),
            hip[1] + dx * math.sin(turn) + dy * math.cos(turn),
        )

    near, far, neck = leaned(60 - 4 * (wide - 1), 64), leaned(79, 60), leaned(68, 55)
    skull = leaned(70, 38)
    # legs
    dark = shade(driver.trousers, 0.75)
    paint.limb((72, 108), (112, 100), 17 * wide, 13, dark)
    paint.limb((112, 100), (124, 130), 13, 10, dark)
    paint.limb((64, 112), (108, 110), 21 * wide, 15, rgb(driver.trousers))
    paint.limb((108, 110), (116, 140), 15, 12, rgb(driver.trousers))

    # the arm at the far side, behind the face unless its hand is in front of it
    _arm(paint, driver, far, pose.left, pose.in_left, pose.hold, nearer=False)

    # hair that hangs behind, the neck, the torso with its pattern, collar and belt
    if driver.style in ("long", "bob"):
        deep = 24 if driver.style == "long" else 15
        paint.limb(
            (skull[0] - 5, skull[1]),
            (skull[0] - 7, skull[1] + deep),
            20,
            17,
            shade(driver.hair, 0.8),
        )
    paint.limb((skull[0] - 2, skull[1] + 5), neck, 11, 12, shade(skin, 0.78))
    torso = [
        (neck[0] - 7, neck[1] + 2),
        (near[0] - 9 * wide, near[1] - 1),
        (near[0] - 14 * wide, near[1] + 22),
        (48 - 6 * (wide - 1), 104),
        (56, 118),
        (84 + 14 * (wide - 1), 112),
        leaned(86 + 20 * (wide - 1), 88),
        leaned(87 + 6 * (wide - 1), 68),
        (far[0] + 4, far[1] - 1),
        (neck[0] + 6, neck[1] + 1),
    ]
    outline = paint(torso)
    left, top = (int(min(side)) for side in zip(*outline, strict=True))
    mask = Image.new("L", [int(max(side)) + 1 for side in zip(*outline, strict=True)], 0)
    mask = mask.crop((left, top, *mask.size))
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=255)
    cloth = _cloth(driver).crop((left, top, left + mask.width, top + mask.height))
    paint.canvas.paste(cloth, (left, top), mask)
    paint.shape(
        [(neck[0] - 6, neck[1]), (neck[0] + 6, neck[1]), (neck[0] + 4, neck[1] + 7)],
        shade(skin, 0.86),
    )
    paint.line([(far[0] + 1, far[1] + 1), leaned(74, 84), (56, 106)], "#2b2c30", 3.4)

    _head(paint, driver, pose, skull)
    _arm(paint, driver, near, pose.right, pose.in_right, pose.hold, nearer=True)


@functools.lru_cache(maxsize=4)
def _cloth(driver):
    """Paint a sheet of the shirt's cloth, darker to the left, where the light does not come."""
    width, height = canvas_size()
    sheet = Image.new("RGB", (width, height), driver.shirt)
    pen = ImageDraw.Draw(sheet)
    other = shade(driver.under, 1.0)
    if driver.pattern in ("stripes", "checks"):
        for y in range(0, height, 7 * FINE):
            pen.line([(0, y), (width, y + 8 * FINE)], fill=other, width=2 * FINE)
    if driver.pattern == "checks":
        for x in range(0, width, 7 * FINE):
            pen.line([(x, 0), (x - 8 * FINE, height)], fill=shade(other, 0.8), width=FINE)
    paint = Paint(sheet, driver)
    if driver.pattern == "open":
        paint.shape([(70, 52), (78, 52), (92, 80), (90, 116), (74, 116)], other)
    return sheet


def _arm(paint, driver, shoulder, hand, held, hold, *, nearer):
    """Draw upper arm, forearm, hand and what it holds; the elbow follows from the two bones."""
    wide = driver.build
    tone = 1.0 if nearer else 0.82
    upper, lower = (29.0, 27.0) if nearer else (25.0, 25.0)
    elbow, hand = _elbow(shoulder, hand, upper, lower)
    cloth, skin = shade(driver.shirt, 0.88 * tone), shade(driver.skin, tone)
    thick = (15 if nearer else 11.5) * (0.6 + 0.4 * wide)
    joint, wrist = thick * 0.74, thick * 0.42

    def between(a, b, t):
        return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t

    covered = driver.sleeves  # in bones: 0.5 is a short sleeve, 2 a long one
    if held == "phone" and not nearer:
        _thing(paint, driver, held, hand, hold)
    paint.limb(elbow, hand, joint, wrist, skin)
    if covered < 1:
        end = between(shoulder, elbow, covered)
        paint.limb(shoulder, elbow, thick * 0.85, joint, skin)
        paint.limb(shoulder, end, thick, thick * 0.95, cloth)
    else:
        end = between(elbow, hand, covered - 1 - 0.12)
        paint.limb(elbow, end, joint * 1.08, joint * 1.08 - (joint - wrist) * (covered - 1), cloth)
        paint.limb(shoulder, elbow, thick, joint * 1.08, cloth)
    if nearer:  # a fold of light along the sleeve
        paint.line(
            [between(shoulder, elbow, 0.1), between(shoulder, elbow, 0.8 * min(covered, 1))],
            shade(driver.shirt, 0.97),
            2,
        )
    if held and (held != "phone" or nearer):
        _thing(paint, driver, held, hand, hold)
    turn = math.degrees(math.atan2(hand[1] - elbow[1], hand[0] - elbow[0]))
    size = 4.4 if nearer else 3.7
    paint.oval(hand, size * 1.15, size * 0.85, skin, turn)
    line = shade(driver.skin, 0.72 * tone)
    for side in (-0.35, 0.1, 0.5):
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        x, y = size * 0.35, size * side
        tip = (
            hand[0] + (x + size * 0.7) * cos - y * sin,
            hand[1] + (x + size * 0.7) * sin + y * cos,
        )
        root = (hand[0] + x * cos - y * sin, hand[1] + x * sin + y * cos)
        paint.line([root, tip], line, 0.5)


def _elbow(shoulder, hand, upper, lower):
    """Return elbow and hand of an arm with two bones; a hand too far away is drawn in."""
    dx, dy = hand[0] - shoulder[0], hand[1] - shoulder[1]
    distance = math.hypot(dx, dy) or 1e-6
    bones = upper + lower
    # an arm seen at an angle looks shorter than it is, a little longer where it comes nearer
    if distance > 1.25 * bones:
        dx, dy = dx * 1.25 * bones / distance, dy * 1.25 * bones / distance
        distance = 1.25 * bones
    looks = max(1.02 * distance, 0.68 * bones if distance < 0.68 * bones else bones) / bones
    upper, lower = upper * looks, lower * looks
    along = (distance**2 + upper**2 - lower**2) / (2 * distance)
    aside = math.sqrt(max(upper**2 - along**2, 0.0))
    ux, uy = dx / distance, dy / distance
    side = 1.0 if ux + 0.6 * -uy >= 0 else -1.0  # an elbow points down, or else to the front
    elbow = (
        shoulder[0] + ux * along - uy * aside * side,
        shoulder[1] + uy * along + ux * aside * side,
    )
    return elbow, (shoulder[0] + dx, shoulder[1] + dy)


def _thing(paint, driver, what, hand, hold):
    x, y = hand
    if what == "phone":
        turn = math.radians(hold - 60)
        ax, ay = math.cos(turn) * 5.4, math.sin(turn) * 5.4
        bx, by = -math.sin(turn) * 2.7, math.cos(turn) * 2.7
        cx, cy = x + (1.5 if hold < 40 else 0), y - 3
        corners = [(cx + s * ax + t * bx, cy + s * ay + t * by) for s, t in _SQUARE]
        paint.shape(corners, driver.phone)
        screen = [
            (cx + s * ax * 0.8 + t * bx * 0.72, cy + s * ay * 0.8 + t * by * 0.72)
            for s, t in _SQUARE
        ]
        paint.shape(screen, "#9fd8ee" if hold < 40 else shade(driver.phone, 0.8))
    elif what == "cup":
        turn = math.radians(hold - 35)
        up = (math.sin(turn), -math.cos(turn))
        out = (math.cos(turn), math.sin(turn))

        def at(across, along):
            return (x + out[0] * across + up[0] * along, y + out[1] * across + up[1] * along)

        if driver.cup == "bottle":
            paint.shape(
                [at(-3, -9), at(3, -9), at(3, 5), at(1.3, 8), at(-1.3, 8), at(-3, 5)], "#bfe2ea"
            )
            paint.shape([at(-3, -4), at(3, -4), at(3, 2), at(-3, 2)], "#3b82b5")
            paint.shape([at(-1.3, 8), at(1.3, 8), at(1.3, 10), at(-1.3, 10)], "#2c5f86")
        else:
            body, lid = ("#f3efe6", "#6b4431") if driver.cup == "paper" else ("#b33f3a", "#8e2f2b")
            paint.shape([at(-3, -7), at(3, -7), at(4, 7), at(-4, 7)], body)
            paint.shape([at(-3.3, -3), at(3.3, -3), at(3.7, 3), at(-3.7, 3)], shade(body, 0.82))
            paint.shape([at(-4.3, 7), at(4.3, 7), at(3.6, 9), at(-3.6, 9)], lid)
    elif what == "brush":
        paint.line([(x - 1, y + 2), (x + 3, y - 8)], "#2a2025", 1.4)
        paint.oval((x + 3, y - 8), 1.6, 2.4, "#c4507a")


_SQUARE = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def _head(paint, driver, pose, middle):
    """Draw a head as a ball with features at their angles, turned to where it looks."""
    yaw, pitch = math.radians(pose.yaw), math.radians(pose.pitch)
    tall = driver.head * 1.08
    broad = driver.head * (0.84 + 0.12 * abs(math.sin(yaw)))
    skin, hair = driver.skin, driver.hair

    def turned(x, y, z, out=1.0):
        """Project a point of the unit ball, given with the nose along z: x, y, depth."""
        y, z = y * math.cos(pitch) + z * math.sin(pitch), z * math.cos(pitch) - y * math.sin(pitch)
        x, z = x * math.cos(yaw) + z * math.sin(yaw), z * math.cos(yaw) - x * math.sin(yaw)
        return middle[0] + out * broad * x, middle[1] - out * tall * y, z

    def seen(azimuth, elevation, out=1.0):
        """Project a point of the face, given by its angles from the nose."""
        a, e = math.radians(azimuth), math.radians(elevation)
        return turned(math.cos(e) * math.sin(a), math.sin(e), math.cos(e) * math.cos(a), out)

    def patch(elevation, radius, colour, out=1.0):
        """Fill the part of the ball within so many degrees of a direction."""
        e, rho, ring = math.radians(elevation), math.radians(radius), []
        for c, s in RING:
            up, along = math.sin(rho) * s, math.cos(rho)
            x, y, z = turned(
                math.sin(rho) * c,
                along * math.sin(e) + up * math.cos(e),
                along * math.cos(e) - up * math.sin(e),
            )
            dx, dy = (x - middle[0]) / broad, (y - middle[1]) / tall
            out_to = out / (math.hypot(dx, dy) or 1.0) if z < 0 else out  # behind: to the edge
            ring.append((middle[0] + broad * dx * out_to, middle[1] + tall * dy * out_to))
        paint.shape(ring, colour)

    bald = driver.style == "bald"
    cover = rgb(skin) if bald else rgb(hair)
    if driver.style == "curly":
        for x, y in RING[::2]:
            spot = (middle[0] - 2 + broad * 0.95 * x, middle[1] - 4 + tall * 0.8 * y)
            paint.oval(spot, 4.6, 4.6, hair)
    if driver.style == "bun":
        x, y, _ = seen(180, 35, 1.15)
        paint.oval((x, y), 5.2, 5.2, shade(hair, 0.9))
    jaw = seen(0, -48, 0.62)
    paint.oval(middle, broad, tall, cover)
    paint.oval(jaw[:2], broad * 0.66, tall * 0.6, rgb(skin))
    patch(-20, 62, rgb(skin))
    if driver.beard:
        paint.oval(seen(0, -56, 0.86)[:2], broad * 0.56, tall * 0.33, shade(hair, 1.05))
    for side in (-90, 90):
        x, y, z = seen(side, -6, 1.0)
        if z > -0.2:
            paint.oval((x, y), 1.9, 3.0, shade(skin, 0.86))
    if driver.style in ("long", "bob") and abs(pose.yaw) > 30:
        x, y, _ = seen(-100, 0)
        paint.limb((x, y - 6), (x - 1, y + 11), 8, 7, hair)

    brow = shade(hair, 0.8)
    for side in (-24, 24):
        x, y, z = seen(side, 4)
        if z > 0.05:
            squash = max(0.45, z)
            if driver.glasses == "sun":
                paint.oval((x, y), 3.2 * squash, 2.4, "#15161a")
            else:
                paint.oval((x, y), 1.9 * squash, 1.15, "#f7f3ee")
                paint.oval((x + pose.gaze[0] + 0.4, y + pose.gaze[1]), 0.95, 1.05, "#1c1714")
            bx, by, _ = seen(side, 17)
            paint.line([(bx - 2 * squash, by + 0.3), (bx + 2 * squash, by)], brow, 0.9)
            if driver.glasses == "clear":
                ring = [(x + 3.1 * squash * c, y + 2.6 * s) for c, s in RING]
                paint.line([*ring, ring[0]], "#26262b", 0.7)
    if driver.glasses:
        ends = [seen(-90, 4), seen(-30, 5)]
        if all(end[2] > -0.2 for end in ends):
            paint.line([end[:2] for end in ends], "#26262b", 0.8)
    tip, top, base = seen(0, -12, 1.2), seen(0, 8, 0.97), seen(0, -25, 0.97)
    if tip[2] > -0.3:
        wing = seen(-16, -20, 1.0)
        paint.shape([top[:2], tip[:2], base[:2], wing[:2]], shade(skin, 0.88))
    x, y, z = seen(-6, -40, 0.95)
    if z > -0.1:
        paint.oval((x, y), 2.4 * max(0.5, z), 0.45 + 1.8 * pose.mouth, shade(skin, 0.55))
    if driver.style == "cap":
        patch(78, 72, rgb(driver.under), 1.05)
        peak = [seen(a, 26, 1.04)[:2] for a in (-60, 60)]
        peak += [seen(a, 16, 1.6)[:2] for a in (28, -28)]
        paint.shape(peak, shade(driver.under, 0.75))
    elif not bald:
        patch(84, 48 if driver.style == "crop" else 58, rgb(hair))
