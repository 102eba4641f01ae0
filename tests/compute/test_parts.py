"""Parts of the back end host on their own: printf's formats, the pool's end, and syntax that compilers seldom write."""

from __future__ import annotations

import ctypes
import struct

import pytest

from polyvm.compute import nvrtc, printf
from polyvm.compute.simt.pool import Pool
from polyvm.errors import PolyvmError
from polyvm.isa.ptx import syntax


def everywhere(address: int, size: int) -> bool:
    return True


@pytest.mark.parametrize(
    ("form", "data", "want"),
    [
        ("%d %u %i", struct.pack("<3i", -1, -1, 7), "-1 4294967295 7"), ("%5.1f|%-6d|", struct.pack("<d i", 2.25, 3), "  2.2|3     |"),
        ("%*d%.*f", struct.pack("<2i i 4x d", 4, 5, 2, 1.0), "   51.00"), ("%hhd %hu %hd", struct.pack("<3i", 255, 65537, 65535), "-1 1 -1"),
        ("%c%%%x %#o", struct.pack("<3i", 65, 255, 8), "A%ff 0o10"), ("%p", struct.pack("<Q", 4096), "0x1000"),
        ("%lld %zu", struct.pack("<2q", -5, 6), "-5 6"), ("%a", struct.pack("<d", 1.0), "0x1.0000000000000p+0"),
        ("%d %d", struct.pack("<i", 1), "1 %d"), ("%f %s", b"", "%f %s"), ("%e", struct.pack("<d", 1e10), "1.000000e+10"),
    ],
)  # fmt: skip
def test_formats(form: str, data: bytes, want: str) -> None:
    assert printf.text(form, data, everywhere) == want


def test_strings_end_where_memory_does(capsys: pytest.CaptureFixture[str]) -> None:
    text = ctypes.create_string_buffer(b"lost %s\n")
    start = ctypes.addressof(text)

    def inside(address: int, size: int) -> bool:
        return start <= address and address + size <= start + len(text.raw)

    record = struct.pack("<QQII", start, 0, 0, 8) + struct.pack("<Q", 0)
    printf.show(record.ljust(288, b"\0"), True, inside)
    assert capsys.readouterr().out == "lost (null)\n(what kernels printed beyond the buffer is lost)\n"


def test_a_pool_ends() -> None:
    pool = Pool(2)
    pool.close()
    pool.close()


def test_syntax_that_is_seldom() -> None:
    module = syntax.parse("""
    // a comment /* of
    .version 8.0
    .target sm_80, debug
    .address_size 64
    .file 1 "a.cu", 12, 34
    .section .debug_str { .b8 1, 2 }
    .visible .global .align 8 .u64 table[2] = { generic(word)+8, word };
    .global .f32 word[4] = {0f3F800000, 1.5, -2.0, 0};
    .global .v4 .f32 wide; .const .f64 half = 0f3F000000;
    .weak .func (.param .b32 r) f (.param .b32 a) .noreturn;
    .alias g, f;
    .visible .entry k(.param .u64 .ptr .global .align 16 p) .maxntid 128, 1, 1 .minnctapersm 2 .pragma "nounroll"; {
        .reg .pred p; .reg .b32 a<3>, b; .pragma "x";
        .loc 1 7 3, function_name $x, inlined_at 1 2 3
        @!p mov.b32 a1, 0b101;
        { .reg .b32 a1; mov.b32 a1, 017; L: bra.uni L; }
        ret; ; }
    """)  # fmt: skip
    kernel = module.kernels["k"]
    assert kernel.bounds == {"maxntid": (128, 1, 1), "minnctapersm": (2,)}
    assert [insn.operands for insn in kernel.insns][:2] == [
        (syntax.Reg("a1"), syntax.Imm(5)), (syntax.Reg("a1.1"), syntax.Imm(15)),
    ]  # fmt: skip
    assert kernel.insns[0].negated
    assert kernel.insns[0].source == (1, 7)
    word = module.variables["word"].data
    assert word is not None
    assert struct.unpack("<4f", word)[:2] == (1.0, 1.5)
    assert module.variables["table"].addresses == [(0, syntax.Name("word", 8)), (8, syntax.Name("word"))]
    assert module.variables["wide"].size == 16
    assert not module.functions["f"].defined


@pytest.mark.parametrize("text", [".texref t;", ".func f(.reg .b32 a) { ret; }"])
def test_syntax_that_is_refused(text: str) -> None:
    with pytest.raises(PolyvmError) as caught:
        syntax.parse(
            f".version 8.0\n.target sm_80\n.address_size 64\n.global {text}"
            if "tex" in text
            else f".version 8.0\n{text}"
        )
    assert caught.value.code == "PVM-UNSUPPORTED"


def test_without_nvrtc_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "_roots", list)
    monkeypatch.setattr(nvrtc.ctypes, "CDLL", _nothing)
    nvrtc.library.cache_clear()
    with pytest.raises(PolyvmError) as caught:
        nvrtc.library()
    assert caught.value.code == "PVM-EXTRA-MISSING"
    assert "polyvm[cuda]" in str(caught.value.hint)
    nvrtc.library.cache_clear()


def _nothing(name: str) -> None:
    raise OSError(name)
