"""Names beside points, placed so that they overlap neither each other nor the points.

Boxes on the page are arrays whose last axis holds left, bottom, right and top, in pixels.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

Array = np.ndarray

DIRECTIONS = np.radians([0, 180, 90, 270, 30, 150, 330, 210, 60, 120, 300, 240])
"""Where a name may lie from its point, in order of preference: right, left, above, below, between."""

GAPS = (2.0, 7.0, 14.0, 24.0)
"""Distances from a point's edge to its name, points, in order of preference."""

CLEARANCE = 3.0
"""What names keep from other points, points."""

LEADER = 6.0
"""A name farther than this from its point's edge, in points, has a thin line to it."""

SWEEPS = 4
"""How often each name looks for a better place, given those of the others."""


def name_points(
    axes: Axes, x: Array, y: Array, areas: Array, names: Sequence[str], curve: tuple[Array, Array], *, size: float = 7.0
) -> None:
    """Write a name beside each point where it overlaps names, points and a curve as little as possible.

    `areas` are those of the markers, points squared, and `curve` is the line that names keep off. Axes limits and
    the figure's layout must be settled: distances are taken from a drawing of the figure.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    point = figure.dpi / 72.0
    centres, radii = axes.transData.transform(np.column_stack([x, y])), np.sqrt(areas) / 2 * point
    labels = [
        axes.annotate(n, at, (0, 0), textcoords="offset points", fontsize=size, va="bottom")
        for n, at in zip(names, zip(x, y, strict=True), strict=True)
    ]
    shapes = [np.array(label.get_window_extent().size) for label in labels]
    boxes = [_candidates(*of_point, point) for of_point in zip(centres, radii, shapes, strict=True)]
    lines = [_leaders(*of_point) for of_point in zip(centres, radii, boxes, strict=True)]
    parts = [_with_dots(*of_point, LEADER * point) for of_point in zip(boxes, lines, strict=True)]
    on_curve = axes.transData.transform(np.column_stack(curve))
    obstacles = _squares(centres, radii + CLEARANCE * point), _squares(on_curve, np.full(len(on_curve), 2 * point))
    frame = np.array(axes.get_window_extent().extents)
    for i, best in enumerate(_settle(parts, *obstacles, frame)):
        labels[i].set_position(tuple((boxes[i][best, :2] - centres[i]) / point))
        if np.hypot(*np.diff(lines[i][best], axis=0)[0]) > LEADER * point:
            line = axes.transData.inverted().transform(lines[i][best])
            axes.plot(*line.T, color="#777777", linewidth=0.5, zorder=3)


def _candidates(centre: Array, radius: float, shape: Array, point: float) -> Array:
    """Boxes (candidate, 4) of this shape in each direction from a point, in order of preference."""
    towards = np.column_stack([np.cos(DIRECTIONS), np.sin(DIRECTIONS)])
    distance = radius + np.array(GAPS)[:, None, None] * point
    middle = (centre + towards * distance + towards.round(1) * shape / 2).reshape(-1, 2)
    return np.hstack([middle - shape / 2, middle + shape / 2])


def _leaders(centre: Array, radius: float, boxes: Array) -> Array:
    """Lines (candidate, end, 2) from a point's edge to the nearest spot of each box."""
    nearest = np.clip(centre, boxes[:, :2], boxes[:, 2:])
    length = np.maximum(np.hypot(*(nearest - centre).T), 1e-9)[:, None]
    return np.stack([centre + (nearest - centre) * np.minimum(radius / length, 1.0), nearest], 1)


def _with_dots(boxes: Array, lines: Array, shortest: float) -> Array:
    """Boxes (candidate, part, 4) that a name takes: its own, and small ones along its line where that is drawn."""
    fraction = np.linspace(0, 1, 9)[:, None]
    dots = lines[:, :1] + fraction * (lines[:, 1:] - lines[:, :1])
    drawn = np.hypot(*(lines[:, 1] - lines[:, 0]).T) > shortest
    sizes = np.broadcast_to(np.where(drawn, 1.0, 0.0)[:, None], dots.shape[:2])
    return np.concatenate([boxes[:, None], _squares(dots, sizes)], 1)


def _squares(centres: Array, radii: Array) -> Array:
    return np.concatenate([centres - radii[..., None], centres + radii[..., None]], -1)


def _settle(parts: Sequence[Array], markers: Array, curve: Array, frame: Array) -> list[int]:
    """Which candidate each name takes: in turn the best one, given what the others have."""
    chosen: dict[int, int] = {}
    outside = [10.0 * (_area(boxes[:, 0]) - _overlap(boxes[:, 0], frame[None])) for boxes in parts]
    for _ in range(SWEEPS):
        for i, boxes in enumerate(parts):
            others = [parts[j][best] for j, best in chosen.items() if j != i]
            taken = np.concatenate([np.delete(markers, i, 0), curve, *others])
            cost = _overlap(boxes, taken).sum(1) + outside[i] + 0.5 * np.arange(len(boxes))
            chosen[i] = int(np.argmin(cost))
    return [chosen[i] for i in range(len(parts))]


def _area(boxes: Array) -> Array:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _overlap(boxes: Array, others: Array) -> Array:
    """Area that each box shares with all others."""
    low = np.maximum(boxes[..., None, :2], others[:, :2])
    high = np.minimum(boxes[..., None, 2:], others[:, 2:])
    return np.clip(high - low, 0.0, None).prod(-1).sum(-1)
