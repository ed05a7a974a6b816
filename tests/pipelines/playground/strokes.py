"""Digits as a person might draw them: by digit, strokes of points (x, y) from 0 to 1."""

from __future__ import annotations

import math

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, wide: float, tall: float, start: float, end: float) -> Stroke:
    """Part of an ellipse, degrees clockwise from the right."""
    turns = [math.radians(start + (end - start) * step / 24) for step in range(25)]
    return [(x + wide * math.cos(turn), y + tall * math.sin(turn)) for turn in turns]


DIGITS: dict[int, list[Stroke]] = {
    0: [arc(0.5, 0.5, 0.22, 0.36, -90, 270)],
    1: [[(0.38, 0.28), (0.52, 0.14), (0.52, 0.86)]],
    2: [[*arc(0.5, 0.32, 0.2, 0.18, -170, 40), (0.3, 0.84), (0.74, 0.84)]],
    3: [[*arc(0.48, 0.32, 0.2, 0.18, -150, 90), *arc(0.48, 0.68, 0.22, 0.18, -90, 150)]],
    4: [[(0.58, 0.12), (0.26, 0.6), (0.76, 0.6)], [(0.6, 0.36), (0.6, 0.9)]],
    5: [[(0.72, 0.14), (0.36, 0.14), (0.34, 0.46), *arc(0.5, 0.64, 0.22, 0.22, -130, 140)]],
    6: [[(0.62, 0.12), (0.42, 0.34), (0.32, 0.6), *arc(0.5, 0.68, 0.19, 0.18, 180, 540)]],
    7: [[(0.28, 0.16), (0.74, 0.16), (0.46, 0.88)], [(0.36, 0.52), (0.66, 0.52)]],
    8: [[*arc(0.5, 0.32, 0.17, 0.17, 90, 450), *arc(0.5, 0.68, 0.2, 0.19, -90, 270)]],
    9: [[*arc(0.5, 0.34, 0.19, 0.19, 0, 360), (0.69, 0.34), (0.66, 0.6), (0.56, 0.88)]],
}
