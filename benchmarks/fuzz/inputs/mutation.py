"""Bytes, damaged: cut, bent, doubled, or with something from a list in their middle."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

_MOST_STEPS = 3
_MOST_BYTES = 40
"""Of what is taken out or doubled in one step."""
_CUT = 0.15
"""How often the rest is lost."""


def mutate(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """The content after one to three steps of damage.

    Args:
        content: may be empty.
        random: decides.
        words: what may be put in between.
    """
    for _ in range(random.randint(1, _MOST_STEPS)):
        content = _step(content, random, words)
    return content


def _step(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start = random.randint(0, len(content))
    end = min(len(content), start + random.randint(1, _MOST_BYTES))
    before, part, after = content[:start], content[start:end], content[end:]
    between = random.choice(
        (
            lambda: b"",
            lambda: part * random.randint(2, 4),
            lambda: random.choice(words),
            lambda: random.choice(words) + part,
            lambda: random.randbytes(random.randint(1, 4)) + part,
            lambda: _flip_bit(part, random),
        )
    )()
    return before + between + (b"" if random.random() < _CUT else after)


def _flip_bit(part: bytes, random: Random) -> bytes:
    if not part:
        return part
    flipped = bytearray(part)
    flipped[random.randrange(len(part))] ^= 1 << random.randrange(8)
    return bytes(flipped)
