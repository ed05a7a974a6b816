"""Strokes as the data's scans would show them.

The rows of ``digits`` were made like this ("Optical Recognition of Handwritten Digits", UCI,
https://archive.ics.uci.edu/dataset/80): a digit was cut out of a form and normalised to a bitmap of
32 x 32 pixels; that was divided into blocks of 4 x 4, whose set pixels were counted: 8 x 8 numbers from
0 to 16. Normalised means that every digit has the bitmap's full height and about the same number of set
pixels. What the data have, ``Frame`` measures; ``scan`` gives the same to a drawing. Other small images of
one channel are read in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.contract import Contract, TensorSpec
from models.dataset import Split

BLOCK = 4
LARGEST_SIDE = 64
"""Larger images are not drawn."""
MEASURED_ROWS = 500
NOTICED = 0.25
"""Share of the largest ink that a line of a row must hold to count as written on."""
MOST_STRETCHED = 2.5
"""How much more than sideways a drawing is stretched upwards: a dash stays a dash."""
THINNEST, THICKEST = 1.0, 5.0
PEN_STEPS = 7
FINEST = 0.035
"""Points of a stroke nearer than this share of the drawing are one."""

Strokes = list[list[tuple[float, float]]]
"""Lines of points (x, y), right and down, in any unit that is the same for both."""


@dataclass(frozen=True)
class Frame:
    """How the data fill their images.

    Attributes:
        spec: the image, of shape (H, W) or (H, W, 1).
        height: share of H between the first and the last line that is written on, median.
        width: the same share of W, 90th percentile: few are wider.
        ink: mean of a whole image, of what it could be at most.
    """

    spec: TensorSpec
    height: float
    width: float
    ink: float

    @classmethod
    def of(cls, spec: TensorSpec, split: Split) -> Frame:
        """Measure the rows of a split, evenly spread."""
        images = split.spread(MEASURED_ROWS).inputs[spec.name].reshape(-1, *spec.shape[:2])
        low, high = bounds(spec)
        ink = (images.astype(np.float64) - low) / (high - low)
        return cls(
            spec,
            float(np.median(_extents(ink.sum(2)))) / spec.shape[0],
            float(np.percentile(_extents(ink.sum(1)), 90)) / spec.shape[1],
            float(np.median(ink.mean((1, 2)))),
        )

    def scan(self, strokes: Strokes) -> np.ndarray:
        """The image of a drawing.

        Args:
            strokes: at least one point; a stroke of one point is a dot.

        Returns:
            (1, H, W) or (1, H, W, 1) of the contract's dtype, in steps of a sixteenth of its range.
        """
        low, high = bounds(self.spec)
        bitmap = self._bitmap(strokes)
        rows, columns = self.spec.shape[:2]
        counts = bitmap.reshape(rows, BLOCK, columns, BLOCK).sum((1, 3))  # 0 to 16
        image: np.ndarray = low + counts / BLOCK**2 * (high - low)
        return image.reshape(self.spec.batch(1)).astype(self.spec.dtype)

    def _bitmap(self, strokes: Strokes) -> np.ndarray:
        """The pen is as wide as it takes to give the drawing the data's ink: bool (4 H, 4 W)."""
        thin, thick = THINNEST, THICKEST
        for _ in range(PEN_STEPS):
            pen = (thin + thick) / 2
            bitmap = self._distance(strokes, pen) <= pen
            if bitmap.mean() < self.ink:
                thin = pen
            else:
                thick = pen
        return bitmap

    def _distance(self, strokes: Strokes, pen: float) -> np.ndarray:
        """Of every pixel's middle to the nearest line, in pixels: float64 (4 H, 4 W)."""
        rows, columns = (side * BLOCK for side in self.spec.shape[:2])
        starts, ends = _segments(strokes)
        points = np.concatenate([starts, ends])
        low, high = points.min(0), points.max(0)
        room = np.array([columns * self.width, rows * self.height]) - 2 * pen
        scale = np.maximum(room, 1) / np.maximum(high - low, 1e-9)
        scale[1] = min(scale[1], scale[0] * MOST_STRETCHED)
        scale[0] = min(scale)
        if not np.isfinite(scale).all() or (high - low).max() < 1e-9:
            scale[:] = 0  # a dot
        middle = np.array([columns, rows]) / 2
        starts, ends = ((each - (low + high) / 2) * scale + middle for each in (starts, ends))
        y, x = np.mgrid[0:rows, 0:columns] + 0.5
        return _to_segments(np.stack([x, y], -1), starts, ends)


def frame_of(contract: Contract, split: Split) -> Frame | None:
    """How to draw the model's input; None where it is no single small image of one channel."""
    (spec, *others) = contract.inputs
    if others or not is_drawable(spec):
        return None
    return Frame.of(spec, split)


def is_drawable(spec: TensorSpec) -> bool:
    """Whether the input is a small image of one channel with stated bounds."""
    rank = len(spec.shape)
    return (
        spec.low is not None
        and spec.high is not None
        and (rank == 2 or (rank == 3 and spec.shape[2] == 1))
        and all(3 < side <= LARGEST_SIDE for side in spec.shape[:2])
    )


def bounds(spec: TensorSpec) -> tuple[float, float]:
    """What a client may send, with 0 and 1 where the contract does not say."""
    low = 0.0 if spec.low is None else spec.low
    return low, max(low + 1e-6, 1.0 if spec.high is None else spec.high)


@dataclass(frozen=True)
class Adjustment:
    """What the sliders do to an image.

    Attributes:
        right, down: shift in cells.
        rotate: degrees, clockwise.
        blur: standard deviation of the Gaussian, in cells.
        noise: standard deviation of what is added, as a share of the range.
        seed: of the noise.
    """

    right: float = 0.0
    down: float = 0.0
    rotate: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    seed: int = 0

    def apply(self, image: np.ndarray, spec: TensorSpec) -> np.ndarray:
        """One image (H, W) or (H, W, C), changed; what is outside counts as empty."""
        low, high = bounds(spec)
        found = image.astype(np.float64)
        if self.rotate:
            found = ndimage.rotate(found, -self.rotate, reshape=False, order=1, cval=low)
        if self.right or self.down:
            shift = [self.down, self.right, *[0] * (image.ndim - 2)]
            found = ndimage.shift(found, shift, order=1, cval=low)
        if self.blur:
            sigma = [self.blur, self.blur, *[0] * (image.ndim - 2)]
            found = ndimage.gaussian_filter(found, sigma, mode="constant", cval=low)
        if self.noise:
            drawn = np.random.default_rng(self.seed).normal(0, self.noise, image.shape)
            found = found + drawn * (high - low)
        changed: np.ndarray = np.clip(found, low, high).astype(spec.dtype)
        return changed


def _extents(ink: np.ndarray) -> np.ndarray:
    """Lines between the first and the last one written on, for rows (N, lines)."""
    written = ink > NOTICED
    first = written.argmax(1)
    last = written.shape[1] - written[:, ::-1].argmax(1)
    return np.where(written.any(1), last - first, 0)


def _segments(strokes: Strokes) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of every straight piece: float64 (pieces, 2) each; points that hardly differ are one."""
    lines = [np.array(stroke, np.float64) for stroke in strokes if stroke]
    points = np.concatenate(lines)
    step = FINEST * float((points.max(0) - points.min(0)).max())
    starts, ends = zip(*(_pieces(line, step) for line in lines), strict=True)
    return np.concatenate(starts), np.concatenate(ends)


def _pieces(line: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    kept = [line[0]]
    for point in line[1:]:
        if np.abs(point - kept[-1]).max() >= step:
            kept.append(point)
    corners = np.stack([*kept, line[-1]])
    return corners[:-1], corners[1:]


def _to_segments(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The distance of each point (..., 2) to the nearest of the pieces."""
    along = ends - starts
    lengths = np.maximum((along**2).sum(1), 1e-12)
    from_start = points[..., None, :] - starts  # (..., pieces, 2)
    share = np.clip((from_start * along).sum(-1) / lengths, 0, 1)
    gap = from_start - share[..., None] * along
    nearest: np.ndarray = np.sqrt((gap**2).sum(-1).min(-1))
    return nearest
