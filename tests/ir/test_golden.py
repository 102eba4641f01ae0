"""The golden evaluator: every corner that ops.py writes down, and what an instruction's execution promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.ir import golden
from polyvm.ir.golden import Flush, Syscall, Trap, execute, signed
from polyvm.ir.ops import ALTERNATIVE_HALF, AMO_KINDS, FLUSH, FLUSH_HALVES, FP_FLAGS, FP_MODE, OPS
from polyvm.ir.trace import Tracer
from polyvm.ir.values import Val
from tests.ir.test_trace import FILES

WORD = st.integers(0, 2**64 - 1)
WIDTH = st.sampled_from([1, 5, 8, 13, 16, 32, 33, 64, 128])


class State:
    """Registers in a dictionary; x0 is hardwired."""

    def __init__(self) -> None:
        self.slots: dict[tuple[str, int], int] = {}

    def read(self, slot: tuple[str, int]) -> int:
        return self.slots.get(slot, 0)

    def write(self, slot: tuple[str, int], value: int) -> None:
        self.slots[slot] = value

    def hardwired(self, file: str) -> int | None:
        return FILES[file].zero

    def counter(self, kind: str) -> int:
        return len(kind)


class Fault(Exception):
    """An access outside the memory."""


class Memory:
    """Bytes from address 0; what is below `writable` may only be read."""

    def __init__(self, data: bytes = b"", writable: int = 0) -> None:
        self.data = bytearray(data)
        self.writable = writable

    def probe(self, address: int, size: int, write: bool) -> None:
        if address + size > len(self.data) or (write and address < self.writable):
            raise Fault(address)

    def load(self, address: int, size: int) -> int:
        self.probe(address, size, False)
        return int.from_bytes(self.data[address : address + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        self.probe(address, size, True)
        self.data[address : address + size] = value.to_bytes(size, "little")


def pure(op: str, bits: int, *args: tuple[int, int], attr: object = None) -> int:
    """A pure op on (value, width) pairs: once at run time and once folded, which must agree."""
    m = Tracer(dict(FILES), 4)
    fields = [m.emit("field", width, (), f"f{number}") for number, (_, width) in enumerate(args)]
    value = m.emit(op, bits, tuple(fields), attr)
    m.set(("result", 0), value)
    state = State()
    execute(m.trace(), {f"f{n}": v for n, (v, _) in enumerate(args)}, 0, state, Memory())
    result = state.read(("result", 0))
    constants: tuple[Val, ...] = tuple(m.const(v, width) for v, width in args)
    assert golden.fold(op, bits, constants, attr) == result
    return result


def binary(op: str, a: int, b: int, bits: int = 64) -> int:
    return pure(op, bits, (a % 2**bits, bits), (b % 2**bits, bits))


# -- Every corner of ops.py
CORNERS = {
    ("udiv", 7, 0): 2**64 - 1,
    ("sdiv", 7, 0): 2**64 - 1,
    ("sdiv", -7, 2): 2**64 - 3,
    ("sdiv", 7, -2): 2**64 - 3,
    ("sdiv", -(2**63), -1): 2**63,
    ("urem", 7, 0): 7,
    ("srem", -7, 0): 2**64 - 7,
    ("srem", -7, 2): 2**64 - 1,
    ("srem", 7, -2): 1,
    ("srem", -(2**63), -1): 0,
    ("shl", 1, 63): 2**63,
    ("shl", 1, 64): 0,
    ("shl", 1, -1): 0,
    ("lshr", -1, 63): 1,
    ("lshr", -1, 64): 0,
    ("ashr", -1, 64): 2**64 - 1,
    ("ashr", -1, -1): 2**64 - 1,
    ("ashr", 2**62, 64): 0,
    ("rotl", 1, 64): 1,
    ("rotl", 1, 65): 2,
    ("rotl", 2**63, 1): 1,
    ("rotr", 1, 1): 2**63,
    ("rotr", 1, 64): 1,
    ("rotr", 1, -1): 2,
    ("add", -1, 1): 0,
    ("sub", 0, 1): 2**64 - 1,
    ("mul", 2**63, 2): 0,
    ("uadd_sat", -1, 1): 2**64 - 1,
    ("uadd_sat", 2, 3): 5,
    ("usub_sat", 2, 3): 0,
    ("usub_sat", 3, 2): 1,
    ("sadd_sat", 2**63 - 1, 1): 2**63 - 1,
    ("sadd_sat", -(2**63), -1): 2**63,
    ("sadd_sat", -2, 1): 2**64 - 1,
    ("ssub_sat", -(2**63), 1): 2**63,
    ("ssub_sat", 0, -(2**63)): 2**63 - 1,
    ("ssub_sat", 2, 3): 2**64 - 1,
}


@pytest.mark.parametrize(("op", "a", "b"), CORNERS, ids=[f"{op} {a} {b}" for op, a, b in CORNERS])
def test_corners(op: str, a: int, b: int) -> None:
    assert binary(op, a, b) == CORNERS[op, a, b]


def test_corners_of_counting() -> None:
    for bits in (1, 8, 32, 33, 64, 128):
        assert pure("clz", bits, (0, bits)) == bits % 2**bits
        assert pure("ctz", bits, (0, bits)) == bits % 2**bits
        assert pure("clz", bits, (1, bits)) == bits - 1
        assert pure("ctz", bits, (1 << bits - 1, bits)) == bits - 1
        assert pure("popcount", bits, ((1 << bits) - 1, bits)) == bits % 2**bits


def test_reversals() -> None:
    assert pure("bswap", 32, (0x11223344, 32)) == 0x44332211
    assert pure("bswap", 16, (0x1122, 16)) == 0x2211
    assert pure("bitrev", 8, (0b1101_0000, 8)) == 0b0000_1011
    assert pure("bitrev", 3, (0b110, 3)) == 0b011


def test_permute_gives_zero_past_the_end() -> None:
    assert (
        pure("permute", 64, (0x8877665544332211, 64), (0xFF08070001020304, 64), attr=8) == 0x0000881122334455
    )
    assert (
        pure("permute", 64, (0xFEDCBA9876543210, 64), (0x0123456789ABCDEF, 64), attr=4) == 0x0123456789ABCDEF
    )
    assert pure("permute", 16, (0x4321, 16), (0x0234, 16), attr=4) == 0x1340


@given(WORD, WORD)
def test_carry_less_multiplication_is_multiplication_of_polynomials(a: int, b: int) -> None:
    def clmul(x: int, y: int) -> int:
        return pure("clmul", 128, (x, 64), (y, 64))

    assert clmul(a, b) == clmul(b, a)
    assert clmul(a, 1) == a
    assert clmul(a, 2) == a << 1
    c = a ^ 0x1234
    assert clmul(a ^ c, b) == clmul(a, b) ^ clmul(c, b)


@given(WIDTH, st.data())
def test_division_rebuilds_the_dividend(bits: int, data: st.DataObject) -> None:
    a, b = (data.draw(st.integers(0, 2**bits - 1)) for _ in range(2))
    for prefix in "us":
        quotient, rest = binary(f"{prefix}div", a, b, bits), binary(f"{prefix}rem", a, b, bits)
        assert (quotient * b + rest) % 2**bits == a
        if b and prefix == "u":
            assert rest < b
        if b and prefix == "s":
            assert abs(signed(rest, bits)) < abs(signed(b, bits))
            assert not rest or (signed(rest, bits) < 0) == (signed(a, bits) < 0)


@given(WIDTH, st.data())
def test_shifts_and_rotations(bits: int, data: st.DataObject) -> None:
    a, n = (data.draw(st.integers(0, 2**bits - 1)) for _ in range(2))
    text = f"{a:0{bits}b}"
    k = min(n, bits)
    assert binary("shl", a, n, bits) == int("0" + text[k:] + "0" * k, 2)
    assert binary("lshr", a, n, bits) == int("0" + text[: bits - k], 2)
    assert binary("ashr", a, n, bits) == int(text[0] * k + text[: bits - k], 2)
    k = n % bits
    assert binary("rotl", a, n, bits) == int(text[k:] + text[:k], 2)
    assert binary("rotr", a, n, bits) == int(text[bits - k :] + text[: bits - k], 2)


@given(WIDTH, st.data())
def test_comparisons(bits: int, data: st.DataObject) -> None:
    a, b = (data.draw(st.integers(0, 2**bits - 1)) for _ in range(2))

    def compare(op: str) -> int:
        return pure(op, 1, (a, bits), (b, bits))

    assert compare("eq") == (a == b) == 1 - compare("ne")
    assert (compare("ult"), compare("ule")) == (a < b, a <= b)
    x, y = signed(a, bits), signed(b, bits)
    assert (compare("slt"), compare("sle")) == (x < y, x <= y)


@given(st.integers(1, 127), st.data())
def test_widths(bits: int, data: st.DataObject) -> None:
    a = data.draw(st.integers(0, 2**bits - 1))
    assert pure("zext", 128, (a, bits)) == a
    assert signed(pure("sext", 128, (a, bits)), 128) == signed(a, bits)
    assert pure("trunc", bits, (a | 1 << 127, 128)) == a


def test_every_pure_op_is_evaluated() -> None:
    handled = set(golden._PURE) | golden.FLOAT_OPS | {"const", "field", "pc"}
    rest = {name for name in OPS if name not in handled}
    assert all(hasattr(golden._Frame, f"_{name}") for name in rest)
    assert {name for name, info in OPS.items() if info.pure} <= handled


# -- Executing an instruction
@pytest.fixture
def m() -> Tracer:
    return Tracer(dict(FILES), 4)


def run(m: Tracer, state: State | None = None, memory: Memory | None = None, **fields: int) -> int:
    return execute(m.trace(), fields, 0x1000, state or State(), memory or Memory())


def test_it_goes_on_behind_the_instruction_or_where_it_jumped(m: Tracer) -> None:
    with m.when(m.emit("field", 1, (), "b")):
        m.jump(m.pc - 0x2000)
    assert run(m, b=0) == 0x1004
    assert run(m, b=1) == 2**64 - 0x1000


def test_a_hardwired_register_reads_zero_and_keeps_nothing(m: Tracer) -> None:
    number = m.emit("field", 5, (), "rd")
    m.x[number] = m.x[number] + 5
    state = State()
    run(m, state, rd=0)
    assert state.slots == {}
    run(m, state, rd=3)
    run(m, state, rd=3)
    assert state.slots == {("x", 3): 10}


def test_memory_is_little_endian_at_any_alignment(m: Tracer) -> None:
    m.store(m.const(3, 64), m.load(m.const(1, 64), 32))
    memory = Memory(bytes(range(16)))
    run(m, memory=memory)
    assert memory.data == bytes([0, 1, 2, 1, 2, 3, 4, *range(7, 16)])


AMO = {
    "swap": (5, 9, 9), "add": (250, 9, 3), "and": (12, 10, 8), "or": (12, 10, 14), "xor": (12, 10, 6),
    "min": (255, 1, 255), "max": (255, 1, 1), "minu": (255, 1, 1), "maxu": (255, 1, 255),
}  # fmt: skip


@pytest.mark.parametrize("kind", AMO_KINDS)
def test_atomic_operations(kind: str, m: Tracer) -> None:
    old, value, new = AMO[kind]
    m.set(("old", 0), m.amo(kind, m.const(1, 64), m.const(value, 8)))
    state, memory = State(), Memory(bytes([0, old, 0]))
    run(m, state, memory)
    assert state.read(("old", 0)) == old
    assert memory.data == bytes([0, new, 0])


@pytest.mark.parametrize("expected", [7, 8])
def test_compare_and_swap(expected: int, m: Tracer) -> None:
    m.set(("old", 0), m.cas(m.const(0, 64), m.const(expected, 16), m.const(9, 16)))
    state, memory = State(), Memory(bytes([7, 0]))
    run(m, state, memory)
    assert state.read(("old", 0)) == 7
    assert memory.data[0] == (9 if expected == 7 else 7)


def test_atomic_operations_need_the_right_to_write_always(m: Tracer) -> None:
    m.cas(m.const(0, 64), m.const(1, 8), m.const(2, 8))
    with pytest.raises(Fault):
        run(m, memory=Memory(b"\0", writable=1))


def test_a_probe_faults_and_does_nothing_else(m: Tracer) -> None:
    m.probe(m.const(0, 64), 8, write=False)
    run(m, memory=Memory(bytes(8), writable=8))
    m.probe(m.const(0, 64), 8, write=True)
    with pytest.raises(Fault):
        run(m, memory=Memory(bytes(8), writable=8))


def test_leaving(m: Tracer) -> None:
    with m.when(m.emit("field", 1, (), "b")):
        m.trap("illegal", m.pc + 2)
    m.syscall()
    with pytest.raises(Trap) as trap:
        run(m, b=1)
    assert (trap.value.cause, trap.value.value) == ("illegal", 0x1002)
    with pytest.raises(Syscall):
        run(m, b=0)


def test_a_flush_comes_after_the_instruction(m: Tracer) -> None:
    m.flush_code()
    m.set(("done", 0), m.const(1, 8))
    state = State()
    with pytest.raises(Flush) as flush:
        run(m, state)
    assert flush.value.args == (0x1004,)
    assert state.read(("done", 0)) == 1


def test_nothing_happens_for_hints_and_fences(m: Tracer) -> None:
    m.hint("pause")
    m.fence("r", "rw")
    state = State()
    assert run(m, state) == 0x1004
    assert state.slots == {}


def test_counters_come_from_the_state(m: Tracer) -> None:
    m.x[1] = m.counter("instret")
    state = State()
    run(m, state)
    assert state.read(("x", 1)) == 7


def test_floating_point_takes_the_mode_and_leaves_its_flags(m: Tracer) -> None:
    one, three = m.const(0x3F80_0000, 32), m.const(0x4040_0000, 32)
    m.set(("up", 0), m.fdiv(one, three))
    m.set(("down", 0), m.fdiv(one, three, 2))
    m.set(("int", 0), m.ftoi(three, 32, signed=True))
    m.set(("back", 0), m.itof(m.const(-3, 32), 64, signed=True))
    state = State()
    state.write(FP_MODE, 3)
    state.write(FP_FLAGS, 16)
    run(m, state)
    assert state.read(("up", 0)) == 0x3EAA_AAAB
    assert state.read(("down", 0)) == 0x3EAA_AAAA
    assert state.read(("int", 0)) == 3
    assert state.read(("back", 0)) == 0xC008_0000_0000_0000
    assert state.read(FP_FLAGS) == 17


ONE = 0x3FF0_0000_0000_0000


def test_every_floating_point_op_is_evaluated(m: Tracer) -> None:
    one = m.const(ONE, 64)
    results = {
        "fadd": m.fadd(one, one), "fsub": m.fsub(one, one), "fmul": m.fmul(one, one), "fdiv": m.fdiv(one, one),
        "fsqrt": m.fsqrt(one), "fma": m.fma(one, one, one), "fmin": m.fmin(one, one), "fmax": m.fmax(one, one),
        "feq": m.feq(one, one), "flt": m.flt(one, one), "fle": m.fle(one, one), "fcvt": m.fcvt(one, 32),
        "fresize": m.fresize(one, 16),
        "fminimum": m.fminimum(one, one), "fmaximum": m.fmaximum(one, one),
        "fcmp": m.fcmp(one, one, signaling=True), "frint": m.frint(one, exact=True),
        "ftoi": m.ftoi(one, 32, signed=False), "itof": m.itof(m.const(1, 32), 64, signed=False),
        "flanes": m.fadd(m.const(0x3C00_3C00_3C00_3C00, 64).lanes(16), m.const(0, 64).lanes(16)).whole,
    }  # fmt: skip
    assert set(results) == golden.FLOAT_OPS
    for name, value in results.items():
        m.set((name, 0), value)
    state = State()
    run(m, state)
    two = 0x4000_0000_0000_0000
    expected = {
        "fadd": two,
        "fsub": 0,
        "fma": two,
        "feq": 1,
        "flt": 0,
        "fle": 1,
        "fcmp": 0b0010,
        "fcvt": 0x3F80_0000,
        "fresize": 0x3C00,
        "ftoi": 1,
        "flanes": 0x3C00_3C00_3C00_3C00,
    }
    assert {name: state.read((name, 0)) for name in results} == {
        name: expected.get(name, ONE) for name in results
    }


NX, UF, OF, IDC = 1, 2, 4, 32


@pytest.mark.parametrize(
    ("op", "args", "bits", "mode", "expected"),
    [
        # Denormal halves are numbers to a conversion, zeros to all else where FP_MODE says so; never do they set IDC.
        ("fcvt", (1,), 32, FLUSH_HALVES, (0x3380_0000, 0)),
        ("fresize", (1,), 32, FLUSH_HALVES, (0, 0)),
        ("fresize", (0x8001,), 64, FLUSH_HALVES, (1 << 63, 0)),
        ("fadd", (1, 0x3C00), 16, FLUSH_HALVES, (0x3C00, 0)),
        ("fadd", (1, 0x3C00), 16, FLUSH, (0x3C00, NX)),
        ("ftoi", (1,), 16, FLUSH_HALVES, (0, 0)),
        ("feq", (1, 0), 1, FLUSH_HALVES, (1, 0)),
        ("feq", (1, 0), 1, FLUSH, (0, 0)),
        # And results that are less than the smallest normal half become zeros, though the operands are none.
        ("fresize", (0x3380_0000,), 16, FLUSH_HALVES, (0, UF)),
        ("fresize", (0x3380_0000,), 16, FLUSH, (1, 0)),
        ("fcvt", (0x3380_0000,), 16, FLUSH_HALVES, (1, 0)),
        ("fmul", (0x0400, 0x3800), 16, FLUSH_HALVES, (0, UF)),
        ("fmul", (0x0400, 0x3800), 16, FLUSH, (0x0200, 0)),
        ("fresize", (1,), 16, FLUSH, (0, IDC)),
        # The alternative format is conversions' alone.
        ("fcvt", (0x7C00,), 32, ALTERNATIVE_HALF, (0x4780_0000, 0)),
        ("fresize", (0x7C00,), 32, ALTERNATIVE_HALF, (0x7F80_0000, 0)),
        ("fresize", (0x4780_0000,), 16, ALTERNATIVE_HALF, (0x7C00, OF | NX)),
        # An addend may be wider than the factors; each is flushed as its own format is.
        ("fma", (1, 0x3C00, 0), 32, FLUSH_HALVES, (0, 0)),
        ("fma", (1, 0x3C00, 0), 32, FLUSH, (0x3380_0000, 0)),
        ("fma", (0x3C00, 0x3C00, 1), 32, FLUSH_HALVES, (0x3F80_0000, NX)),
        ("fma", (0x3C00, 0x3C00, 1), 32, FLUSH, (0x3F80_0000, IDC)),
    ],
)  # fmt: skip
def test_halves_in_arms_style(
    op: str, args: tuple[int, ...], bits: int, mode: int, expected: tuple[int, int]
) -> None:
    width = 32 if args[0] > 0xFFFF or (expected[1] == IDC and len(args) == 1) else 16
    attr = (True, 7) if op == "ftoi" else None if op == "feq" else 7
    assert golden.floating(op, [*args], bits, width, attr, mode, "arm") == expected
