"""What both networks make of the raw columns: sizes and order, from the contract and the constants alone.

Wide and deep (Cheng et al. 2016): the wide part adds one pair of weights for every value of a column and of a
cross of two columns to the logits; the deep part embeds the columns, joins them with the scaled numbers, and goes
through hidden layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from models.cases.flights.case import CASE
from models.constants import KNOWN, Constants

NUMBERS = tuple(spec.name for spec in CASE.contract.inputs if not spec.is_text)
WORDS = tuple(spec.name for spec in CASE.contract.inputs if spec.is_text)
MAY_BE_MISSING = tuple(
    spec.name for spec in CASE.contract.inputs if spec.missing and not spec.is_text
)
"""Numbers that get a second feature, 1 where they are missing and 0 where not."""

HOUR, DAY = "hour", "day_of_week"
HOURS, DAYS = 24, 8
"""Whole hours of ``minute_of_day``; ``day_of_week`` counts from 1."""

EMBEDDED = {"carrier": 8, "origin": 2, "dest": 16, "manufacturer": 8, HOUR: 4, DAY: 3}
"""Columns of the deep part and the sizes of their embeddings; the words come first, in the contract's order."""

CROSSES = (("carrier", "origin"), (HOUR, DAY), ("origin", HOUR), ("carrier", HOUR))

HIDDEN = (128, 64)
DROPOUT = 0.3
LARGEST_SCALED = 2.0
"""Scaled numbers are cut off here: the later months of a year must not look like nothing ever seen."""


@dataclass(frozen=True)
class Columns:
    """Sizes that depend on the constants.

    Attributes:
        sizes: values of each embedded column, missing and unseen ones among them.
        offsets: where each column, then each cross, begins in the wide part's one table.
        wide_size: rows of that table.
        means, stds, fills: of ``NUMBERS``, in that order.
        may_be_missing: places of ``MAY_BE_MISSING`` in ``NUMBERS``.
    """

    sizes: dict[str, int]
    offsets: tuple[int, ...]
    wide_size: int
    means: tuple[float, ...]
    stds: tuple[float, ...]
    fills: tuple[float, ...]
    may_be_missing: tuple[int, ...]

    @classmethod
    def of(cls, constants: Constants) -> Columns:
        words, numbers = constants["categorical"], constants["numeric"]
        sizes = {name: KNOWN + len(words[name]["vocabulary"]) for name in WORDS}
        sizes |= {HOUR: HOURS, DAY: DAYS}
        wide = [sizes[name] for name in EMBEDDED] + [sizes[a] * sizes[b] for a, b in CROSSES]
        *offsets, wide_size = accumulate(wide, initial=0)
        return cls(
            sizes,
            tuple(offsets),
            wide_size,
            tuple(numbers[name]["mean"] for name in NUMBERS),
            tuple(numbers[name]["std"] for name in NUMBERS),
            tuple(numbers[name]["missing"] for name in NUMBERS),
            tuple(NUMBERS.index(name) for name in MAY_BE_MISSING),
        )

    @property
    def places(self) -> dict[str, int]:
        """Where each embedded column stands among the indices."""
        return {name: place for place, name in enumerate(EMBEDDED)}
