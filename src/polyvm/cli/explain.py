"""`polyvm explain`: one instruction from its line in the specification to the code that this host runs for it."""

from __future__ import annotations

import sys

from polyvm.cli import guests, output
from polyvm.cli.options import DEBUG, JSON, Command, Option, nearest, wrap
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from polyvm.cli.options import Values
    from polyvm.isa.encoding import Encoding
    from polyvm.isa.spec import Decoded, Insn, Isa, Shape

PARTS = ("text", "encoding", "ops", "llvm", "assembly")


def parts(text: str) -> tuple[str, ...]:
    """Names of parts, separated by commas."""
    found = tuple(text.split(","))
    for part in found:
        if part not in PARTS:
            raise ValueError(f"names {part!r}; the parts are {', '.join(PARTS)}")
    return found


COMMAND = Command(
    "explain",
    usage=("[OPTIONS] INSN", "[OPTIONS] HEX"),
    about="""
Shows one instruction all the way down: its text and encoding, what the manual says, the operations that its meaning
consists of, and the LLVM text and the host assembly of the interpreter's handler for it.
""",
    arguments=(
        ("INSN", "A mnemonic (addi), or an instruction as assembly writes it (addi a0, a0, 10)."),
        ("HEX", "An instruction word, such as 0x00a50513."),
    ),
    options=(
        guests.GUEST,
        Option("--show", "PARTS", f"Only these parts, separated by commas: {', '.join(PARTS)}.", convert=parts),
        JSON,
        DEBUG,
    ),
    examples=(
        ("By its name", "polyvm explain addi"),
        ("An instruction with its operands", "polyvm explain addi a0, a0, 10"),
        ("A word out of a dump, without the host's side", "polyvm explain 0x00a50513 --show text,encoding,ops"),
    ),
    takes=(1, None),
)  # fmt: skip


def execute(values: Values) -> int:
    """Print what is known of every instruction that was meant."""
    isa = guests.load(guests.check(values.guest))
    shown = values.show or PARTS
    pages = [
        _page(insn, shape, decoded, shown) for insn, shape, decoded in _find(isa, " ".join(values.arguments))
    ]
    if values.json:
        output.document("explain", {"guest": isa.name, "insns": pages})
    else:
        sys.stdout.write("\n\n".join(_render(page) for page in pages))
    return 0


def _find(isa: Isa, text: str) -> list[tuple[Insn, Shape, Decoded | None]]:
    """What was meant: a word, an instruction with operands, or every instruction of a name."""
    from polyvm.isa import disasm

    word = _word(isa, text)
    if word is None and " " in text.strip():
        word = disasm.assemble(isa, text)
    if word is not None:
        decoded = disasm.decode(isa, word, 0)
        return [(decoded.insn, decoded.shape, decoded)]
    name = text.strip()
    found = [insn for insn in isa.insns if insn.name == name]
    if found:
        return [(insn, next(insn.shapes()), None) for insn in found]
    raise _no_such(isa, name)


def _word(isa: Isa, text: str) -> bytes | None:
    """The bytes of an instruction word written in hexadecimal, with or without 0x."""
    digits = text.strip().lower()
    prefixed = digits.startswith("0x")
    digits = digits.removeprefix("0x").replace("_", "")
    if not digits or any(digit not in "0123456789abcdef" for digit in digits):
        return None
    if not prefixed and (
        len(digits) not in [2 * size for size in isa.sizes] or any(i.name == digits for i in isa.insns)
    ):
        return None
    value = int(digits, 16)
    size = max(isa.length(value), min(isa.sizes))
    if value >> 8 * size:
        raise PolyvmError(
            "PVM-DECODE-UNKNOWN",
            f"{text.strip()} is longer than the {size} bytes that an instruction with its low bits has.",
            guest=isa.name,
            word=value,
        )
    return value.to_bytes(size, "little")


def _no_such(isa: Isa, name: str) -> PolyvmError:
    for short, long in (*isa.aliases, *((alias.short, alias.long) for alias in isa.computed)):
        if short.split()[0] == name:
            return PolyvmError(
                "PVM-INSN-UNKNOWN",
                f"{name} is another way to write an instruction of {isa.name}: {short} is {long}.",
                hint=f"polyvm explain {long.split()[0]}",
                guest=isa.name,
            )
    manual = __import__(f"polyvm.isa.{isa.name}.manual", fromlist=["EXTENSIONS"])
    for extension, text in manual.EXTENSIONS.items():
        if name in text.split():
            return PolyvmError(
                "PVM-INSN-UNKNOWN",
                f"{name} belongs to {extension}, which polyvm does not have yet.",
                hint=f"polyvm isa coverage {isa.name} lists what there is.",
                guest=isa.name,
            )
    meant = nearest(name, dict.fromkeys(insn.name for insn in isa.insns))
    hint = f"Did you mean {meant}? " if meant else ""
    return PolyvmError(
        "PVM-INSN-UNKNOWN",
        f"{isa.name} has no instruction {name!r}.",
        hint=f"{hint}polyvm isa list {isa.name} lists them.",
        guest=isa.name,
    )


def _page(insn: Insn, shape: Shape, decoded: Decoded | None, shown: tuple[str, ...]) -> dict[str, Any]:
    """Everything about one instruction, as the document holds it; parts that were not asked for are null."""
    from polyvm.debug import optext
    from polyvm.isa import disasm

    page: dict[str, Any] = {
        "name": insn.name,
        "text": insn.text,
        "extension": f"{insn.extension.name} {insn.extension.version}",
        "title": insn.extension.title,
        "doc": " ".join(insn.doc.split()),
        "shape": dict(shape),
        "shapes": sum(1 for _ in insn.shapes()),
        "instance": None,
        "encoding": None,
        "ops": None,
        "llvm": None,
        "assembly": None,
        "host": None,
    }
    if decoded is not None:
        page["instance"] = {
            "text": disasm.disassemble(decoded, 0),
            "word": f"{decoded.word:#0{2 * insn.size + 2}x}",
            "bytes": decoded.word.to_bytes(insn.size, "little").hex(" "),
            "fields": {
                name: decoded.fields.get(name, dict(shape).get(name)) for name in insn.encoding.fields
            },
        }
    if "encoding" in shown:
        page["encoding"] = {
            "text": insn.encoding.text,
            "bits": 8 * insn.size,
            "mask": hex(insn.encoding.mask),
            "match": hex(insn.encoding.match),
            "diagram": diagram(insn.encoding),
        }
    if "ops" in shown:
        page["ops"] = optext.lines(insn.isa.trace(insn, shape))
    if "llvm" in shown or "assembly" in shown:
        from polyvm.engine import compile as compiler
        from polyvm.engine import specimen

        text, module = specimen.handler_text(insn, shape)
        if "llvm" in shown:
            page["llvm"] = text.rstrip().splitlines()
        if "assembly" in shown:
            page["assembly"] = specimen.assembly(module, specimen.symbol(insn))
            page["host"] = compiler.host_cpu()[0]
    return page


def _render(page: dict[str, Any]) -> str:
    lines = [page["text"], *wrap(page["doc"], "  "), f"  Extension {page['extension']}: {page['title']}"]
    if page["instance"]:
        found = page["instance"]
        lines += ["", f"{found['text']}", f"  word {found['word']}, bytes {found['bytes']}"]
        lines += [f"  {name} = {value}" for name, value in found["fields"].items()]
    if page["encoding"]:
        lines += [
            "",
            f"Encoding: {page['encoding']['text']}",
            *("  " + line for line in page["encoding"]["diagram"]),
        ]
    shape = ", ".join(f"{name} = {value}" for name, value in page["shape"].items())
    of = f", for {shape} (one of {page['shapes']} forms)" if shape else ""
    for key, title in (
        ("ops", f"Operations{of}"),
        ("llvm", "LLVM, the interpreter's handler before optimisation"),
        ("assembly", f"Host assembly of the handler ({page['host']})"),
    ):
        if page[key] is not None:
            lines += ["", title + ":", *("  " + line for line in page[key])]
    return "\n".join(lines) + "\n"


def diagram(encoding: Encoding) -> list[str]:
    """The encoding as a box of bits, the highest on the left, as manuals draw it."""
    cells = _cells(encoding)
    above, rule, middle, below = "", "", "", ""
    for high, low, text in cells:
        count = high - low + 1
        ends = str(high) if high == low else f"{high} {low}"
        width = max(len(text), len(ends), len(str(count))) + 2
        if high == low:
            above += " " + str(high).center(width)
        else:
            above += " " + str(high) + str(low).rjust(width - len(str(high)))
        rule += "+" + "-" * width
        middle += "|" + text.center(width)
        below += " " + str(count).center(width)
    return [above.rstrip(), rule + "+", middle + "|", rule + "+", below.rstrip()]


def _cells(encoding: Encoding) -> list[tuple[int, int, str]]:
    """(highest bit, lowest bit, what stands there), from the top."""
    tops = {}
    for name, pieces in encoding.fields.items():
        whole = len(pieces) == 1 and pieces[0].field_low == 0
        for piece in pieces:
            top = piece.field_low + piece.length - 1
            bits = f"{top}" if piece.length == 1 else f"{top}:{piece.field_low}"
            text = name if whole else f"{name}[{bits}]"
            tops[piece.insn_low + piece.length - 1] = (piece.insn_low, text)
    cells = []
    bit = 8 * encoding.size - 1
    while bit >= 0:
        if bit in tops:
            low, text = tops[bit]
        else:
            low = bit
            while low > 0 and low - 1 not in tops:
                low -= 1
            text = f"{encoding.match >> low & (1 << (bit - low + 1)) - 1:0{bit - low + 1}b}"
        cells.append((bit, low, text))
        bit = low - 1
    return cells
