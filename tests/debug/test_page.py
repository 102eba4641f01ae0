"""The page of a report in a browser that has no window, and its colours as the guidelines want them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from polyvm.debug import page, report
from polyvm.debug.sampler import TIERS

BROWSER = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)


def result() -> dict[str, Any]:
    """The page's document of a run that was not recorded."""
    from polyvm.cli import rundocument

    run = rundocument.empty("/bin/<b>odd</b>", ["<b>odd</b>"])
    known = {
        "guest": "riscv64",
        "exits": {"SYSCALL": 3},
        "exit": {"kind": "signaled", "status": None, "signal": 11},
        "syscalls": {"write": {"count": 2, "errors": 1, "native": 0}},
    }
    rundocument.merge(run, known)
    return report.document(run, "it")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def themes() -> list[dict[str, str]]:
    """The variables of the style's blocks: light, dark by the switch, dark by the system."""
    text = (Path(page.ASSETS) / "report.css").read_text()
    blocks = re.findall(r":root[^{]*\{([^}]*--bg[^}]*)\}", text)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def test_both_ways_to_the_dark_are_one() -> None:
    light, dark, system = themes()
    assert dark == system
    assert light.keys() == dark.keys()


@pytest.mark.parametrize("theme", themes()[:2], ids=["light", "dark"])
def test_text_can_be_read(theme: dict[str, str]) -> None:
    """4.5 to 1 is what WCAG 2.2 wants of text (1.4.3), 3 to 1 of what stands for something (1.4.11)."""
    for ink in ("ink", "dim", "accent"):
        for ground in ("bg", "panel", "soft", "mark", "link"):
            if (ink, ground) != ("dim", "mark"):  # nothing dim is in a marked line but addresses
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    for tier in TIERS:
        assert contrast(theme[tier], theme["on-tier"]) >= 4.5, tier
        assert contrast(theme[tier], theme["panel"]) >= 3, tier
    assert contrast(theme["accent"], theme["accent-ink"]) >= 4.5


def browse(path: Path, made: bytes, query: str = "") -> str:
    """What a browser makes of a page: its document, once the page's script is done."""
    if BROWSER is None:
        pytest.skip("no browser is installed (chromium)")
    path.write_bytes(made)
    done = subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent}/profile",
         "--virtual-time-budget=8000", "--window-size=1600,1200", "--dump-dom", f"file://{path}{query}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert 'data-ready="yes"' in done.stdout, done.stderr[-2000:]
    return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)


def test_a_browser_draws_a_recorded_run(tmp_path: Path, shown: dict[str, Any]) -> None:
    dom = browse(tmp_path / "page.html", page.render(shown)[0], "?theme=dark")
    assert '<html lang="en" data-theme="dark"' in dom
    for section in ("overview", "flame", "timeline", "regions", "code", "counts"):
        assert f'<section id="{section}"' in dom
    assert "Verified" in dom
    assert "Not verified" not in dom
    assert dom.count('role="treeitem"') > 5
    assert dom.count('role="option"') > 100  # lines of the columns
    assert 'aria-selected="true"' in dom
    assert f">{shown['functions'][shown['regions'][0]['function']]['name']}<" in dom


def test_a_browser_draws_a_result_file(tmp_path: Path) -> None:
    dom = browse(tmp_path / "page.html", page.render(result())[0])
    assert "was not recorded" in dom
    assert "killed by signal 11" in dom
    assert "&lt;b&gt;odd&lt;/b&gt;" in dom
    assert "<b>odd" not in dom
    assert '<section id="flame"' not in dom
