"""What vector instructions are made of: register groups as lanes, the elements that take part, and what is reserved.

A trace belongs to one vtype, one VLEN, and to vstart = 0 or not: its *context*, which comes to the shape of the
instruction as one number. A body is called with a Machine, which begins a compiled trace with the question whether the
state is in that context. vl, masks and registers are values. Sections are those of "V" in the RISC-V Instruction Set
Manual, Volume I. Tail and masked-off elements are undisturbed, which agnostic policies allow too (3.4.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.ir.values import Val

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polyvm.ir.trace import Tracer

VL, VTYPE, VSTART = ("vl", 0), ("vtype", 0), ("vstart", 0)
VXRM, VXSAT = ("vxrm", 0), ("vxsat", 0)
VILL: Final = 1 << 63
ELEN: Final = 64
MOST: Final = 160
"""Ops on single elements, or look-ups in tables, that a compiled trace may have: what takes more is golden's to do."""

ILL_BIT, PART_BIT, GOLDEN_BIT, VLEN_SHIFT = 1 << 8, 1 << 32, 1 << 33, 16
END: Final = "element_end"
"""Of a trace that begins at vstart, the field that says before which element it ends: an access that may fault is
restarted one element at a time."""


class LeftError(Exception):
    """The rest of an instruction is left to the golden evaluator."""


def pack(vtype: int, vlen: int, *, part: bool = False, golden: bool = False) -> int:
    """A context as a number."""
    number = (vtype & 0xFF) | (ILL_BIT if vtype & VILL else 0) | vlen << VLEN_SHIFT
    return number | (PART_BIT if part else 0) | (GOLDEN_BIT if golden else 0)


def multiplier(vtype: int) -> int:
    """Eight times LMUL; 0 where it is reserved (3.4.2)."""
    code = vtype & 7
    return 0 if code == 4 else 8 << code if code < 4 else 8 >> (8 - code)


def longest(vtype: int, vlen: int) -> int:
    """VLMAX; 0 where the vtype is not supported: SEW above ELEN, or above LMUL times ELEN (3.4.2)."""
    sew, lmul = 8 << (vtype >> 3 & 7), multiplier(vtype)
    if vtype >> 8 or not lmul or sew > ELEN or 8 * sew > lmul * ELEN:
        return 0
    return vlen * lmul // 8 // sew


class Machine:
    """The machine `v` that the body of a vector instruction is called with; `m` is the tracer."""

    def __init__(self, m: Tracer, context: int, vm: int = 1) -> None:
        self.m = m
        self.vlen = context >> VLEN_SHIFT & 0xFFFF
        self.vtype = VILL if context & ILL_BIT else context & 0xFF
        self.part, self.golden = bool(context & PART_BIT), bool(context & GOLDEN_BIT)
        self.sew = 8 << (context >> 3 & 7)
        self.lmul = multiplier(context)  # eight times it, as all multipliers here
        self.masked = not vm
        self.vlmax = longest(context & 0xFF, self.vlen)
        self._reserved: list[Val] = []
        self._spent = 0

    def begin(self) -> None:
        """The question whether the state is in the context."""
        m = self.m
        if not self.golden:
            with m.when(m.get(VTYPE) != self.vtype):
                m.reshape()
            with m.when(m.get(VSTART) != 0):
                m.reshape()

    def need_type(self) -> None:
        """vtype must be legal (3.4.4)."""
        if self.vtype == VILL:
            self.illegal()

    # -- what is reserved
    def illegal(self) -> None:
        """The whole instruction is illegal here."""
        self.m.trap("illegal")
        raise LeftError

    def reserve(self, condition: Val | bool) -> None:
        """It is illegal where a condition on its fields holds."""
        if condition is True:
            self.illegal()
        elif condition is not False:
            self._reserved.append(condition)

    def aligned(self, reg: Val, mul: int) -> None:
        """A group's number is a multiple of its registers (3.4.2); its multiplier must be one."""
        self.reserve(mul > 64 or mul < 1)
        if mul > 8:
            self.reserve(reg & (mul // 8 - 1) != 0)

    def apart(self, a: Val, a_mul: int, b: Val, b_mul: int) -> None:
        """Two groups have no register in common."""
        x, y = a.zext(8), b.zext(8)
        self.reserve(x.ult(y + max(b_mul // 8, 1)) & y.ult(x + max(a_mul // 8, 1)))

    def compatible(self, vd: Val, d_bits: int, d_mul: int, vs: Val, s_bits: int, s_mul: int) -> None:
        """A destination and a source of other element widths may overlap only so (5.2)."""
        if d_bits == s_bits:
            return
        x, y = vd.zext(8), vs.zext(8)
        overlap = x.ult(y + max(s_mul // 8, 1)) & y.ult(x + max(d_mul // 8, 1))
        if d_bits < s_bits:
            allowed = x == y  # the lowest-numbered part of the source
        elif s_mul < 8:
            allowed = self.m.const(0, 1)
        else:
            allowed = y == x + (d_mul - s_mul) // 8  # the highest-numbered part of the destination
        self.reserve(overlap & ~allowed)

    def no_mask(self, vd: Val) -> None:
        """A masked instruction's destination is not v0 (5.3)."""
        if self.masked:
            self.reserve(vd == 0)

    def from_zero(self) -> None:
        """It is illegal with vstart other than 0."""
        if self.part:
            with self.m.when(self.m.get(VSTART) != 0):
                self.m.trap("illegal")

    def checked(self) -> None:
        """Trap where any reservation holds."""
        found = self.m.const(0, 1)
        for condition in self._reserved:
            found |= condition
        self._reserved.clear()
        if found.op != "const" or found.attr:
            with self.m.when(found):
                self.m.trap("illegal")

    def spend(self, ops: int) -> None:
        """Say how much of what is done element by element comes now."""
        self._spent += ops
        if self._spent > MOST and not self.golden:
            self.m.reshape()
            raise LeftError

    # -- registers
    def _number(self, reg: Val | int, chunk: int) -> Val | int:
        if isinstance(reg, int):
            return reg + chunk
        return (reg.zext(8) + chunk) & 31 if chunk else reg

    def get(self, reg: Val | int, chunk: int) -> Val:
        """A chunk of a group."""
        return self.m.v[self._number(reg, chunk)]

    def set(self, reg: Val | int, chunk: int, value: Val) -> None:
        """Write a chunk of a group."""
        self.m.v[self._number(reg, chunk)] = value

    def chunks(self, mul: int) -> int:
        """How many chunks a group has."""
        return max(1, mul // 8)

    def group(self, reg: Val | int, bits: int, mul: int) -> list[Lanes]:
        """A group's chunks in lanes of so many bits."""
        return [Lanes(self.get(reg, chunk), bits) for chunk in range(self.chunks(mul))]

    def source(self, reg: Val) -> list[Lanes]:
        """A group of SEW and LMUL, which is looked at for its alignment."""
        self.aligned(reg, self.lmul)
        return self.group(reg, self.sew, self.lmul)

    def splat(self, value: Val) -> Lanes:
        """A chunk of one element."""
        return Lanes.splat(value, self.vlen // value.bits)

    def scalar(self, rs1: Val, bits: int = 0) -> Val:
        """An integer register as an element; its low bits where it is wider (11.1)."""
        return self.m.x[rs1].trunc(bits or self.sew)

    # -- which elements take part
    def vl(self) -> Val:
        """vl, or where a restarted access is to stop."""
        return self.m.get(VL)

    def end(self, vl: Val | None = None) -> Val:
        """Before which element this trace ends."""
        end = self.vl() if vl is None else vl
        if self.part:
            stop = self.m.emit("field", 64, (), END)
            end = self.m.select(stop.ult(end), stop, end)
        return end

    def counted(self, number: Val, before: int, most: int) -> Val:
        """How many of `most` elements behind the first `before` are among the first `number`."""
        left = number.sub_sat(self.m.const(before, 64), signed=False) if before else number
        return self.m.select(left.ult(most), left, most)

    def body(self, chunk: int, bits: int, vl: Val | None = None) -> Lanes:
        """For each lane of a chunk, whether its element is one of the body (5.4)."""
        count = self.vlen // bits
        iota = Lanes(self.m.const(sum(i << i * bits for i in range(count)), self.vlen), bits)

        def below(number: Val) -> Lanes:
            return iota.ult(self.counted(number, chunk * count, count).trunc(bits))

        inside = below(self.end(vl))
        return inside & ~below(self.m.get(VSTART)) if self.part else inside

    def mask(self, chunk: int, bits: int, reg: Val | int = 0) -> Lanes:
        """A mask register's bits for the elements of a chunk."""
        count = self.vlen // bits
        value = self.get(reg, 0)
        value = value >> chunk * count if chunk else value
        return Lanes(value.trunc(count), 1)

    def active(self, chunk: int, bits: int, vl: Val | None = None) -> Lanes:
        """For each lane of a chunk, whether its element is active (5.4)."""
        inside = self.body(chunk, bits, vl)
        return inside & self.mask(chunk, bits) if self.masked else inside

    def body_bits(self, vl: Val | None = None) -> Val:
        """The same of mask elements, as the bits of a mask register: it has as many as the longest group elements."""
        words = self.vlen // 64

        def below(number: Val) -> Lanes:
            count = Lanes.of([self.counted(number, 64 * n, 64) for n in range(words)])
            ones = Lanes(self.m.const(-1, self.vlen), 64)
            return ~(ones << count)

        inside = below(self.end(vl))
        return (inside & ~below(self.m.get(VSTART)) if self.part else inside).whole

    def two_ways(self, most: int, mul: int, do: Callable[[bool], None], vl: Val | None = None) -> None:
        """Do something with a group of `most` elements: all of them at once where vl says so and no mask does, and else
        with those that are active. do: told which of the two; it writes what it has found.
        """
        if self.masked or self.part or self.golden or mul < 8:
            do(False)
            return
        whole = (self.vl() if vl is None else vl) == most
        if whole.op == "const":
            do(bool(whole.attr))
            return
        with self.m.when(whole):
            do(True)
        with self.m.when(~whole):
            do(False)

    # -- results
    def write(self, vd: Val, results: Sequence[Lanes], *, all_body: bool = False) -> None:
        """Write active elements, or all of the body; others are undisturbed."""
        self.checked()
        merged = []
        for chunk, result in enumerate(results):
            chosen = (self.body if all_body else self.active)(chunk, result.bits)
            merged.append(chosen.select(result, Lanes(self.get(vd, chunk), result.bits)))
        for chunk, value in enumerate(merged):
            self.set(vd, chunk, value.whole)

    def write_mask(self, vd: Val, results: Sequence[Lanes], *, all_body: bool = False) -> None:
        """Write bits of a mask register, one for each element, where these are active or of the body."""
        self.checked()
        inside = self.body_bits()
        if self.masked and not all_body:
            inside &= self.get(0, 0)
        found = self.joined([result.whole for result in results])
        self.set(vd, 0, (self.get(vd, 0) & ~inside) | (found & inside))

    def joined(self, parts: Sequence[Val]) -> Val:
        """Values behind each other, the first lowest, in a register."""
        whole = parts[0].zext(self.vlen)
        for place, part in enumerate(parts[1:], 1):
            whole |= part.zext(self.vlen) << place * part.bits
        return whole

    def done(self) -> None:
        """Every vector instruction ends with vstart = 0 (3.7)."""
        self.m.set(VSTART, self.m.const(0, 64))

    # -- lanes of other widths
    def widened(self, source: Sequence[Lanes], chunk: int, times: int, *, signed: bool) -> Lanes:
        """What a chunk's elements are of a source whose elements are narrower by a factor, made as wide."""
        whole = source[chunk // times]
        count = whole.count // times
        at = chunk % times * count
        part = whole.pick(range(at, at + count))
        if times == 1:
            return whole
        return part.sext(whole.bits * times) if signed else part.zext(whole.bits * times)

    def narrowed(self, parts: Sequence[Lanes], chunk: int, narrow: Callable[[int], Lanes]) -> Lanes:
        """A chunk of what `narrow` makes of a chunk of elements that are twice as wide, given its number."""
        low = narrow(2 * chunk)
        if 2 * chunk + 1 < len(parts):
            return low.join(narrow(2 * chunk + 1))
        return low.pick([*range(low.count), *[-1] * low.count])
