"""`polyvm cache`: what is kept on disk, whether it is sound, and how to be rid of it.

It removes only what it recognises as polyvm's own: a cache folder that was named by mistake must not cost anybody
their files.
"""

from __future__ import annotations

import os
import sys
import time

from polyvm.cli import output
from polyvm.cli.options import DEBUG, JSON, Command, Option, usage
from polyvm.cli.runoptions import size
from polyvm.engine import cachedir
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.cli.options import Values
    from polyvm.engine.cachedir import Entry

ACTIONS = ("info", "ls", "verify", "prune", "clear")

COMMAND = Command(
    "cache",
    usage=("info|ls|verify [OPTIONS]", "prune [--limit SIZE] [OPTIONS]", "clear [--all] [OPTIONS]"),
    about="""
Looks after the compiled code that is kept on disk, so that nothing is compiled twice. The folder is
$POLYVM_CACHE_DIR, else $XDG_CACHE_HOME/polyvm, else ~/.cache/polyvm. Removing it costs nothing but time.
""",
    arguments=(
        (
            "ACTION",
            (
                "info: where it is and how large. ls: every entry. verify: check every entry's checksum. prune: "
                "remove damaged entries, leftovers, and what was not used for the longest time. clear: remove all."
            ),
        ),
    ),
    options=(
        Option("--limit", "SIZE", "With prune: keep at most SIZE.", convert=size, default="1G"),
        Option("--all", "", "With clear: the programs and packages of polyvm bench as well."),
        JSON,
        DEBUG,
    ),
    examples=(
        ("How large it is", "polyvm cache info"),
        ("Whether it is sound", "polyvm cache verify"),
        ("Make it small", "polyvm cache prune --limit 100M"),
    ),
    takes=(1, 1),
    complete=ACTIONS,
)


def execute(values: Values) -> int:
    """Do what was asked for."""
    action = values.arguments[0]
    if action not in ACTIONS:
        raise usage(
            COMMAND, f"polyvm cache does not know {action!r}.", f"The actions are {', '.join(ACTIONS)}."
        )
    folder = cachedir.path()
    trusted = True
    try:
        cachedir.check(folder)
    except FileNotFoundError:
        pass  # nothing was ever compiled
    except PolyvmError:
        if action != "info":
            raise
        trusted = False
    found = [(entry, kind(folder, entry)) for entry in cachedir.entries(folder)] if trusted else []
    if action == "info":
        return _info(folder, found, trusted, values.json)
    if action == "ls":
        return _list(folder, found, values.json)
    if action == "verify":
        return _verify(folder, found, values.json)
    if action == "prune":
        bad = [entry for entry, what in found if what == "code" and damage(folder, entry) is not None]
        return _removed(folder, [*_remove(folder, bad), *cachedir.trim(folder, values.limit)], values.json)
    return _removed(folder, _remove(folder, _to_clear(found, values.all)), values.json)


def kind(folder: str, entry: Entry) -> str:
    """What an entry is: native code, a leftover of a writer that died, something of the benchmark's, or unknown."""
    from polyvm.engine import image

    if entry.temporary:
        return "leftover"
    if entry.name.startswith("bench/"):
        return "bench"
    fd = cachedir.open_file(folder, entry.name, look=True)
    if fd == cachedir.REFUSED:
        return _by_name(entry.name)
    if fd < 0:
        return "unknown"
    try:
        return "code" if os.read(fd, len(image.MAGIC)) == image.MAGIC else _by_name(entry.name)
    finally:
        os.close(fd)


def _by_name(name: str) -> str:
    """A file in one of the cache's own folders that does not begin as it should is damaged code."""
    return "code" if name.endswith(CODE_SUFFIXES) else "unknown"


CODE_SUFFIXES = (".pvi", ".pvu")


def damage(folder: str, entry: Entry) -> str | None:
    """What is wrong with an entry of native code, or None."""
    from polyvm.engine import image

    data = cachedir.read(folder, entry.name, look=True)
    if data is None:
        return None  # removed meanwhile
    if not data:
        return "it is empty, cannot be read, or could be changed by others"
    try:
        image.load(data).unload()
    except PolyvmError as error:
        return error.message
    return None


Found = list[tuple["Entry", str]]


def _info(folder: str, found: Found, trusted: bool, json: bool) -> int:
    kinds: dict[str, tuple[int, int]] = {}
    for name in {what for _, what in found}:
        of_kind = [entry for entry, what in found if what == name]
        kinds[name] = (len(of_kind), cachedir.total(of_kind))
    total = cachedir.total(entry for entry, _ in found)
    if json:
        by_kind = {name: {"entries": count, "bytes": amount} for name, (count, amount) in kinds.items()}
        output.document(
            "cache",
            {"path": folder, "trusted": trusted, "entries": len(found), "bytes": total, "kinds": by_kind},
        )
        return 0
    sys.stdout.write(f"{folder}\n")
    if not trusted:
        sys.stdout.write("  not trusted, and so not used; polyvm cache verify says why\n")
    elif not found:
        sys.stdout.write("  empty\n")
    for name, (count, amount) in sorted(kinds.items()):
        sys.stdout.write(f"  {name}: {count} {'entry' if count == 1 else 'entries'}, {output.size(amount)}\n")
    return 0


def _list(folder: str, found: Found, json: bool) -> int:
    if json:
        rows = [{"name": e.name, "kind": what, "bytes": e.size, "used": e.used} for e, what in found]
        output.document("cache-list", {"path": folder, "entries": rows})
        return 0
    table = [("used", "size", "kind", "name")]
    for entry, what in sorted(found, key=lambda item: -item[0].used):
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        table.append((used, output.size(entry.size), what, entry.name))
    sys.stdout.write(output.table(table, right=".r"))
    return 0


def _verify(folder: str, found: Found, json: bool) -> int:
    """0 when every entry is sound, else the status of PVM-CACHE-DAMAGED."""
    bad = []
    for entry, what in found:
        if what == "code":
            why = damage(folder, entry)
            if why is not None:
                bad.append((entry.name, why))
    checked = sum(1 for _, what in found if what == "code")
    if bad:
        raise PolyvmError(
            "PVM-CACHE-DAMAGED",
            f"{len(bad)} of {checked} entries are damaged; they are never used, and made again when they are needed.",
            hint="polyvm cache prune removes them.",
            path=folder,
            entries=[f"{name}: {why}" for name, why in bad],
        )
    if json:
        output.document("cache-verify", {"path": folder, "checked": checked, "damaged": []})
    else:
        leftovers = sum(1 for _, what in found if what == "leftover")
        more = f"; {leftovers} unfinished, which prune removes" if leftovers else ""
        what = "1 entry, sound" if checked == 1 else f"{checked} entries, all sound"
        sys.stdout.write(f"{folder}: {what}{more}\n")
    return 0


def _to_clear(found: Found, everything: bool) -> list[Entry]:
    kinds = ("code", "leftover", "bench") if everything else ("code", "leftover")
    return [entry for entry, what in found if what in kinds]


def _remove(folder: str, chosen: list[Entry]) -> list[Entry]:
    return [entry for entry in chosen if cachedir.remove(os.path.join(folder, entry.name))]


def _removed(folder: str, removed: list[Entry], json: bool) -> int:
    cachedir.tidy(folder)
    total = cachedir.total(removed)
    if json:
        output.document("cache-removed", {"path": folder, "entries": len(removed), "bytes": total})
    else:
        what = "entry" if len(removed) == 1 else "entries"
        sys.stdout.write(f"{folder}: removed {len(removed)} {what}, {output.size(total)}\n")
    return 0
