"""A polyvm.report/1 document as one HTML page that needs nothing else: no network, no server, no other file.

The document goes into the page compressed, and the page's script draws it. Names in it are a guest's and are never
markup: they are data to the script, which makes text of them; the page forbids itself everything from outside.
"""

from __future__ import annotations

import base64
import html
import json
import os
import zlib
from typing import Any

ASSETS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "assets")
MAX_BYTES = 5 << 20
"""Of a page: code of the coldest regions is left out until it fits."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<meta name="generator" content="polyvm {version}">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<div id="app">
<noscript>This page draws itself with a script of its own; it needs no network. Please allow scripts.</noscript>
</div>
<script type="text/plain" id="data">{data}</script>
<script>
{script}
</script>
</body>
</html>
"""


def render(document: dict[str, Any]) -> tuple[bytes, int]:
    """The page, and how many regions had to go without their code."""
    style, script = _asset("report.css"), _asset("report.js")
    title = f"polyvm report: {os.path.basename(document['run']['program'])}"
    left = 0
    while True:
        page = PAGE.format(
            version=html.escape(document["polyvm"]), title=html.escape(title), style=style, script=script,
            data=_packed(document),
        ).encode("utf-8", "replace")  # fmt: skip
        shown = [region for region in document["regions"] if region["code"] is not None]
        if len(page) <= MAX_BYTES or not shown:
            return page, left
        # A few at a time: each try compresses the whole.
        for region in shown[-max(1, len(shown) // 6) :]:
            region["code"] = None
            left += 1


def _packed(document: dict[str, Any]) -> str:
    text = json.dumps(document, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _asset(name: str) -> str:
    with open(os.path.join(ASSETS, name), encoding="utf-8") as file:
        return file.read()
