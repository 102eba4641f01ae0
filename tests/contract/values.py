"""Values of vector registers: lanes of every width, and in them the corners of integers and of floating point.

Nothing here knows a guest or an instruction.
"""

from __future__ import annotations

import random

FRACTIONS = {16: 10, 32: 23, 64: 52}
"""Bits of the fraction of IEEE 754's formats, by their width."""
WIDTHS = (8, 16, 32, 64, 128)


def vector(seed: int, bits: int = 128) -> int:
    """A register of so many bits: lanes of one width, all of their own, all alike, or zero but for the lowest."""
    rng = random.Random(seed)
    width = rng.choice(WIDTHS)
    count = bits // width
    lane = floating if width in FRACTIONS and rng.random() < 0.6 else integer
    form = rng.randrange(5)
    if form == 0:
        lanes = [lane(rng, width)] * count
    elif form == 1:
        few = lane(rng, width), lane(rng, width)
        lanes = [rng.choice(few) for _ in range(count)]
    else:
        lanes = [lane(rng, width) for _ in range(count)]
    if form == 2:
        lanes[1:] = [0] * (count - 1)
    return sum(value << width * place for place, value in enumerate(lanes))


def integer(rng: random.Random, bits: int) -> int:
    """A number of so many bits: corners, counts that a shift could have, a few bits, anything."""
    top, mask = 1 << bits - 1, (1 << bits) - 1
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice((0, 1, 2, top - 1, top, top + 1, mask - 1, mask))
    if kind == 1:
        return rng.randint(-bits - 1, bits + 1) & mask
    if kind == 2:
        return 1 << rng.randrange(bits) | 1 << rng.randrange(bits)
    return rng.getrandbits(bits)


def floating(rng: random.Random, bits: int) -> int:
    """A float's pattern: zeros, infinities, NaNs of both kinds with payloads, denormals, the ends of what can be
    represented, what lies at the ends of integers, halves, and numbers that meet in an addition."""
    fraction = FRACTIONS[bits]
    top = (1 << bits - 1 - fraction) - 1  # the exponent of infinity
    middle, quiet = top >> 1, 1 << fraction - 1
    sign = rng.randrange(2) << bits - 1
    kind = rng.randrange(8)
    if kind == 0:
        exponent, low = rng.choice(((0, 0), (top, 0), (middle, 0), (top - 1, (1 << fraction) - 1), (1, 0)))
    elif kind == 1:
        payload = rng.choice((0, 1, quiet - 1, rng.getrandbits(fraction - 1)))
        exponent, low = top, quiet | payload if rng.random() < 0.5 else payload or 1
    elif kind == 2:
        exponent, low = 0, rng.choice((1, (1 << fraction) - 1, rng.getrandbits(fraction)))
    elif kind == 3:
        # Numbers about as large as the integers of some width are, and a little on either side.
        exponent = middle + min(rng.choice((7, 8, 15, 16, 31, 32, 63, 64)), middle)
        low = rng.choice((0, 1, 2, (1 << fraction) - 1, (1 << fraction) - 2))
        exponent -= low > 2 and rng.random() < 0.8
    elif kind == 4:
        # Whole numbers and halves: ties of every way to round.
        exponent = middle + rng.randrange(-2, min(fraction + 2, middle))
        kept = max(0, min(fraction, exponent - middle + 1))
        low = rng.getrandbits(kept) << fraction - kept if kept else 0
    elif kind == 5:
        exponent, low = rng.randrange(top), rng.getrandbits(fraction)
    else:
        exponent = middle + rng.randint(-min(4, middle - 1), 4)
        low = rng.getrandbits(fraction) & (-1 << rng.choice((0, fraction // 2, fraction - 2)))
    return sign | exponent << fraction | low
