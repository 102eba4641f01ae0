"""Ten million random A64 words, and the code of Debian packages, beside Capstone and LLVM: `make decode-full`.

    python -m tests.isa.aarch64.decode_full [--words N] [--seconds S] [--seed N]

It goes on where an earlier run of the same decoder stopped: every batch of words and every package is a line in a file
of the tests' cache. When all is counted it writes the summary, docs/reference/aarch64-decoder.md, and fails where a
difference has no name. Packages are fetched once, by apt with a state of its own; nothing is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import struct
import subprocess
import sys
import tarfile
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from polyvm.bench import debian
from tests import toolchain
from tests.isa import llvm
from tests.isa.aarch64.disassemblers import OURS, REFUSED, SAME, TEXT, THEIRS, Comparison, group
from tests.isa.aarch64.machine import ISA

ROOT = Path(__file__).parents[3]
SUMMARY = ROOT / "docs" / "reference" / "aarch64-decoder.md"
WORDS, BATCH = 10_000_000, 50_000
SUITE = "trixie"
# Compilers' code of many kinds, and what people wrote by hand: codecs, ciphers, big numbers, string functions.
PACKAGES = (
    "bash", "busybox-static", "bzip2", "coreutils", "dash", "file", "findutils", "gawk", "grep", "gzip", "less",
    "libcrypt1", "libdav1d7", "libgcrypt20", "libgmp10", "libhogweed6t64", "libjpeg62-turbo", "liblz4-1",
    "libnettle8t64", "libpng16-16t64", "libssl3t64", "libstdc++6", "lua5.4", "perl-base", "python3.13-minimal",
    "sed", "sqlite3", "tar",
    "xz-utils", "zstd",
)  # fmt: skip
KINDS = (SAME, REFUSED, TEXT, OURS, THEIRS)


@dataclass
class Tally:
    """Counts by place, judge, outcome and reason, with an example of each that is no agreement."""

    counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str, str], tuple[int, str, str]] = field(default_factory=dict)

    def add(self, comparison: Comparison, word: int, times: int, place: str) -> None:
        """Compare one word, which stands for so many."""
        for judge, verdict in comparison.of(word).items():
            reason = "UNEXPLAINED" if verdict.unexplained else verdict.reason
            self.counts[place, judge, verdict.outcome, reason] += times
            if verdict.outcome not in (SAME, REFUSED):
                key = judge, verdict.outcome, reason
                self.examples.setdefault(key, (word, verdict.ours, verdict.theirs))

    def merge(self, other: Tally) -> None:
        """Take over what was counted elsewhere."""
        self.counts.update(other.counts)
        for key, example in other.examples.items():
            self.examples.setdefault(key, example)

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps([[[*key, n] for key, n in self.counts.items()], [*self.examples.items()]])

    @classmethod
    def of(cls, text: str) -> Tally:
        """The inverse of `text`."""
        counts, examples = json.loads(text)
        return cls(
            Counter({tuple(key): n for *key, n in counts}),
            {tuple(key): tuple(example) for key, example in examples},
        )


class Ledger:
    """What was counted already: a file with a line for each piece of work, by its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, Tally] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                name, _, text = line.partition("\t")
                self.done[name] = Tally.of(text)

    def add(self, name: str, tally: Tally) -> None:
        """Write down a piece of work as done."""
        with self.path.open("a") as file:
            file.write(f"{name}\t{tally.text()}\n")
        self.done[name] = tally

    def all(self, names: Iterable[str]) -> Tally:
        """These pieces together."""
        found = Tally()
        for name in names:
            found.merge(self.done[name])
        return found


# -- The pieces of work
def random_words(seed: int, batch: int, count: int) -> Iterator[tuple[int, int, str]]:
    """Words of a batch, any at all; each stands for one, and its place is its part of A64."""
    rng = random.Random(f"{seed} {batch}")
    for _ in range(count):
        word = rng.getrandbits(32)
        yield word, 1, group(word)


def package_words(archive: Path) -> Iterator[tuple[int, int, str]]:
    """The distinct words in each executable section of a package's files, and how often they are there."""
    name = archive.name.partition("_")[0]
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as unpacked:
        with tarfile.open(fileobj=unpacked.stdout, mode="r|") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                data = file.read() if file else b""
                for code in sections(data):
                    for word, times in Counter(array("I", code)).items():
                        yield word, times, name


def sections(file: bytes) -> Iterator[bytes]:
    """What is executable in an ELF file for AArch64, in whole words; nothing where it is none."""
    if file[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", file, 18)[0] != 183:
        return
    (table,), (size, count) = struct.unpack_from("<Q", file, 40), struct.unpack_from("<HH", file, 58)
    for number in range(count):
        _, kind, flags, _, start, length = struct.unpack_from("<IIQQQQ", file, table + size * number)
        if kind == 1 and flags & 4:  # SHT_PROGBITS, SHF_EXECINSTR
            yield file[start : start + length & ~3]


def count(comparison: Comparison, words: Iterable[tuple[int, int, str]]) -> Tally:
    """Compare all of a piece."""
    tally = Tally()
    for word, times, place in words:
        tally.add(comparison, word, times, place)
    return tally


# -- The summary
def table(tally: Tally, places: Iterable[str], what: str) -> list[str]:
    """A row for each place: what the judges make of its words."""
    judges = sorted({judge for _, judge, _, _ in tally.counts})
    lines = [
        f"| {what} | judge | words | {' | '.join(KINDS)} |",
        f"|---|---|{'--:|' * (1 + len(KINDS))}",
    ]
    for place in (*places, "all"):
        for judge in judges:
            row = Counter[str]()
            for (where, whose, outcome, _), n in tally.counts.items():
                if whose == judge and place in (where, "all"):
                    row[outcome] += n
            if row:
                numbers = (sum(row.values()), *(row[kind] for kind in KINDS))
                lines.append(f"| {place} | {judge} | {' | '.join(f'{n:,}' for n in numbers)} |")
    return lines


def reasons(tally: Tally) -> list[str]:
    """A row for each class of difference."""
    found = Counter[tuple[str, str, str]]()
    for (_, judge, outcome, reason), n in tally.counts.items():
        if outcome not in (SAME, REFUSED):
            found[outcome, reason, judge] += n
    lines = [
        "| difference | why | judge | words | example | ours | theirs |",
        "|---|---|---|--:|---|---|---|",
    ]
    for (outcome, reason, judge), n in sorted(found.items()):
        word, ours, theirs = tally.examples[judge, outcome, reason]
        shown = " | ".join(f"`{text}`" if text else "" for text in (ours, theirs))
        lines.append(f"| {outcome} | {reason} | {judge} | {n:,} | `{word:08x}` | {shown} |")
    return lines


def summary(numbers: Tally, packages: Tally, names: dict[str, str], seed: int, judges: str) -> str:
    """The page."""
    words = sum(n for (_, judge, _, _), n in numbers.counts.items() if judge == "Capstone")
    groups = sorted({place for place, *_ in numbers.counts})
    kinds = (
        f"*{SAME}*: an instruction to both, with the same text up to documented aliases. *{REFUSED}*: to neither. "
        f"*{TEXT}*, *{OURS}*, *{THEIRS}*: differences, each of which has its reason below."
    )
    lines = [
        "# The A64 decoder beside others",
        "",
        f"Made by `make decode-full` from {len(ISA.insns):,} encodings; {judges}; seed {seed}. {kinds}",
        "",
        f"## {words:,} random words",
        "",
        *table(numbers, groups, "part of A64 (C4.1)"),
        "",
        f"## The code of {len(names)} packages of Debian {SUITE} for arm64",
        "",
        "Every word of every executable section; data that stands between code is words too.",
        "",
        *table(packages, sorted(names), "package"),
        "",
        "## Differences, of random words",
        "",
        *reasons(numbers),
        "",
        "## Differences, in packages",
        "",
        *reasons(packages),
        "",
        "## Packages",
        "",
        ", ".join(f"{name} {names[name]}" for name in sorted(names)),
        "",
    ]
    return "\n".join(lines)


# -- The command
def key(seed: int, judges: str) -> str:
    """Names the decoder, its texts, the judges and the seed: what was counted with others does not count."""
    lines = [(insn.text, insn.encoding.text) for insn in ISA.insns]
    found = hashlib.sha256(repr((seed, judges, BATCH, lines, ISA.aliases)).encode())
    isa = ROOT / "src/polyvm/isa"
    texts = ("syntax", "simd_text", "aliases", "model")
    for path in (*sorted(isa.glob("*.py")), *(isa / f"aarch64/{name}.py" for name in texts)):
        found.update(path.read_bytes())
    found.update((Path(__file__).parent / "disassemblers.py").read_bytes())
    return found.hexdigest()[:16]


def archives() -> list[Path]:
    """The packages' archives, fetched if they are not here; those without code are left out later."""
    folder = toolchain.cache() / "decoder-arm64"
    debian.fetch(SUITE, "arm64", PACKAGES, folder, say=print)
    return sorted((folder / "apt/cache/archives").glob("*.deb"))


def main() -> int:
    """Count what is not counted yet, as long as there is time, and write the summary when nothing is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--words", type=int, default=WORDS, help=f"random words (default: {WORDS:,})")
    parser.add_argument("--seconds", type=float, help="stop after so long, to go on another time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--summary", type=Path, default=SUMMARY, help="where the page goes")
    options = parser.parse_args()
    path = llvm.library()
    if path is None:
        print("there is no LLVM library here; on Debian: apt install libllvm15 or later", file=sys.stderr)
        return 1
    judge = llvm.Disassembler(path)
    judges = f"Capstone {version('capstone')}, {judge.name}"
    comparison = Comparison(judge)
    folder = toolchain.cache() / "decode-full"
    folder.mkdir(exist_ok=True)
    ledger = Ledger(folder / f"{key(options.seed, judges)}.tsv")
    batches = {f"words {batch}": batch for batch in range(-(-options.words // BATCH))}
    packages = {archive.name: archive for archive in archives()}
    begun = time.monotonic()
    everything = [*packages, *batches]
    for number, name in enumerate(everything):
        if name in ledger.done:
            continue
        if options.seconds is not None and time.monotonic() - begun > options.seconds:
            print(f"\n{number} of {len(everything)} pieces are done; run it again to go on", file=sys.stderr)
            return 0
        words = (
            package_words(packages[name])
            if name in packages
            else random_words(options.seed, batches[name], BATCH)
        )
        ledger.add(name, count(comparison, words))
        print(
            f"\r{number + 1} of {len(everything)} pieces, {name}\033[K", end="", file=sys.stderr, flush=True
        )
    print(file=sys.stderr)
    found = ledger.all(batches), ledger.all(packages)
    with_code = {place for place, *_ in found[1].counts}
    versions = dict(debian.contents(toolchain.cache() / "decoder-arm64")["versions"])
    names = {name: versions[name] for name in versions if name in with_code}
    options.summary.write_text(summary(*found, names, options.seed, judges))
    print(f"{options.summary} is written")
    unexplained = sum(
        n for tally in found for (*_, reason), n in tally.counts.items() if reason == "UNEXPLAINED"
    )
    if unexplained:
        print(f"{unexplained} differences have no reason", file=sys.stderr)
    return int(unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
