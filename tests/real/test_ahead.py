"""`polyvm aot` of dynamic programs: libraries are where the program will find them, and as far as it reaches them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compiled import regions

SCRIPT = """
local words, seed = {}, 7
for i = 1, 40000 do seed = (seed * 16807) % 2147483647; words[i] = string.format("%08x", seed) end
table.sort(words)
local count = 0
for _, word in ipairs(words) do for _ in word:gmatch("[a-f]+") do count = count + 1 end end
print(words[1], words[#words], count)
"""


def expected() -> str:
    """What the script prints."""
    words, seed = [], 7
    for _ in range(40000):
        seed = seed * 16807 % 2147483647
        words.append(f"{seed:08x}")
    words.sort()
    return f"{words[0]}\t{words[-1]}\t{sum(len(re.findall('[a-f]+', word)) for word in words)}\n"


@pytest.mark.full
@pytest.mark.timeout(900)
def test_lua_and_its_libraries(machine: str, sysroot: Path, compiles: Path, tmp_path: Path) -> None:
    lua, script = sysroot / "usr/bin/lua5.4", tmp_path / "script.lua"
    script.write_text(SCRIPT)
    polyvm = [sys.executable, "-m", "polyvm"]
    where = ["--sysroot", str(sysroot)]
    done = subprocess.run([*polyvm, "aot", "--json", *where, str(lua)], capture_output=True, check=True)
    document = json.loads(done.stdout)
    assert (document["guest"], document["deaths"]) == (machine, 0)
    assert document["code_bytes"] > 100_000
    made = regions(compiles)
    for _ in range(2):
        told = tmp_path / "told"
        done = subprocess.run([*polyvm, "run", "--quiet", "--result-file", str(told), *where, str(lua), str(script)],
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert done.stdout == expected()
    first = json.loads(told.read_text())
    assert first["cache"]["disk"]["hits"] > 10
    assert first["cache"]["disk_rejected"] == 0
    assert regions(compiles) >= made
