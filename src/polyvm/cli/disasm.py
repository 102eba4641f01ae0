"""`polyvm disasm`: the instructions of a program, of a raw file, or of bytes."""

from __future__ import annotations

import os
import sys

from polyvm.cli import guests, output
from polyvm.cli.options import DEBUG, FILE, JSON, Command, Option, usage
from polyvm.errors import PolyvmError, from_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from polyvm.cli.options import Values
    from polyvm.debug.elf import Symbols


def number(text: str) -> int:
    """An address or a size: 65536, 0x10000."""
    try:
        value = int(text, 0)
    except ValueError:
        raise ValueError("is no number; addresses look like 0x10000") from None
    if not 0 <= value < 1 << 64:
        raise ValueError("is no 64-bit address")
    return value


def hex_bytes(text: str) -> bytes:
    """Bytes in the order of memory: "13 05 a5 00", "1305a500"."""
    digits = "".join(text.replace(",", " ").split()).removeprefix("0x")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError('is not hexadecimal; bytes look like "13 05 a5 00"') from None


COMMAND = Command(
    "disasm",
    usage=("[OPTIONS] FILE", "[OPTIONS] --bytes HEX"),
    about="""
Disassembles the code of an ELF program with its symbols, or a file of bare code, or bytes. Text and encodings are
those of the specification that polyvm runs programs with.
""",
    arguments=(("FILE", "An ELF file; with --raw, a file that is nothing but code."),),
    options=(
        Option("--bytes", "HEX", "Disassemble these bytes, in the order of memory.", convert=hex_bytes),
        Option("--raw", "", "FILE has no headers: all of it is code."),
        guests.GUEST,
        Option(
            "--address",
            "ADDRESS",
            "Where the first byte of --bytes or --raw stands.",
            convert=number,
            default=0,
        ),
        Option("--start", "ADDRESS", "Begin here.", convert=number),
        Option("--stop", "ADDRESS", "End before this address.", convert=number),
        Option("--symbol", "NAME", "Only this function."),
        Option("--no-aliases", "", "Real instructions only: addi a0, a0, 0 instead of mv."),
        JSON,
        DEBUG,
    ),
    examples=(
        ("A program", "polyvm disasm ./hello-riscv64"),
        ("One function of it", "polyvm disasm ./hello-riscv64 --symbol main"),
        ("Two instructions", 'polyvm disasm --bytes "13 05 a5 00 82 80" --address 0x1000'),
    ),
    takes=(0, 1),
    complete=FILE,
)


class Piece:
    """A stretch of code: where it stands, and what it is called."""

    def __init__(self, name: str, address: int, code: bytes) -> None:
        self.name = name
        self.address = address
        self.code = code


def execute(values: Values) -> int:
    """Print the listing."""
    guest = guests.check(values.guest)
    pieces, symbols, guest, path = _pieces(values, guest)
    if values.symbol is not None:
        found = symbols.find(values.symbol) if symbols is not None else None
        if found is None:
            from polyvm.cli.options import nearest

            meant = nearest(values.symbol, [name for _, name in symbols]) if symbols is not None else None
            raise usage(
                COMMAND,
                f"There is no function {values.symbol!r}.",
                f"Did you mean {meant}?" if meant else None,
            )
        values.start, values.stop = found
    rows = _rows(values, guest, pieces, symbols)
    if values.json:
        insns = [
            {"address": hex(address), "bytes": code.hex(), "text": text, "symbol": symbol}
            for _, address, code, text, symbol in rows
        ]
        output.document("disasm", {"guest": guest, "path": path, "insns": insns})
    else:
        _print(rows)
    return 0


def _pieces(values: Values, guest: str) -> tuple[list[Piece], Symbols | None, str, str | None]:
    """The code, its symbols, the guest, and the file's path."""
    if values.bytes is not None:
        if values.arguments:
            raise usage(COMMAND, "--bytes and a FILE are two things to disassemble.")
        return [Piece("", values.address, values.bytes)], None, guest, None
    if not values.arguments:
        raise usage(COMMAND, "polyvm disasm needs a FILE, or --bytes.")
    path = values.arguments[0]
    if values.raw:
        try:
            with open(path, "rb") as file:
                return [Piece(os.path.basename(path), values.address, file.read())], None, guest, path
        except OSError as error:
            raise from_oserror(error, f"Cannot read {path}") from error
    from polyvm.debug import elf

    try:
        file_ = elf.read(path)
    except PolyvmError as error:
        if error.code == "PVM-ELF-INVALID":
            error.hint = "A file of bare code is disassembled with --raw."
        raise
    if file_.machine != guest and "guest" in values.given:
        raise PolyvmError("PVM-ELF-MACHINE", f"{path} is for {file_.machine}, not for {guest}.", path=path)
    if file_.machine not in guests.SPECIFIED:
        raise PolyvmError(
            "PVM-ELF-MACHINE",
            f"{path} is for {file_.machine}, which is no guest here.",
            hint=f"There is: {', '.join(guests.SPECIFIED)}.",
            path=path,
        )
    pieces = [Piece(name, address, bytes(data)) for name, address, data in file_.code()]
    return pieces, file_.symbols(), file_.machine, path


Row = tuple[str, int, bytes, str, "str | None"]


def _rows(values: Values, guest: str, pieces: list[Piece], symbols: Symbols | None) -> Iterator[Row]:
    """(piece, address, bytes, text, the name of this very address)"""
    from polyvm.isa.disasm import listing

    isa = guests.load(guest)
    starts = dict(symbols) if symbols is not None else {}
    text_of = symbols.text if symbols is not None else None
    for piece in pieces:
        low = max(piece.address, values.start or 0)
        high = piece.address + len(piece.code)
        if values.stop is not None:
            high = min(high, values.stop)
        if low >= high:
            continue
        code = piece.code[low - piece.address : high - piece.address]
        for address, found, text in listing(isa, code, low, text_of, aliases=not values.no_aliases):
            yield piece.name, address, found, text, starts.get(address)


def _print(rows: Iterator[Row]) -> None:
    section = None
    write = sys.stdout.write
    for piece, address, code, text, symbol in rows:
        if piece != section:
            if piece:
                write(f"{'' if section is None else chr(10)}Section {piece}:\n")
            section = piece
        if symbol is not None:
            write(f"\n{address:016x} <{symbol}>:\n")
        word = int.from_bytes(code, "little")
        write(f"{address:8x}:  {word:0{2 * len(code)}x}{' ' * (8 - 2 * len(code))}  {text}\n")
