"""Debian's programs, unmodified, below --root: they print what Debian's amd64 build prints, natively.

The golden texts are Linux's own: `pytest --full --bless -k native` writes them with the amd64 tree, which
`python tests/real/fetch.py --guest x86_64 --tree system` unpacks; a guest's output is only ever compared.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import require_c
from tests.real import fetch
from tests.user.running import polyvm

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}
NATIVE = "x86_64"

# Name -> command. Those of QUICK run each time, the others with --full.
CASES = {
    "bash": ("/bin/bash", "/suite/bash.sh"),
    "coreutils": ("/bin/bash", "/suite/coreutils.sh"),
    "perl": ("/usr/bin/perl", "/suite/perl.pl"),
    "python": ("/usr/bin/python3", "/suite/suite.py"),
    "gcc": ("/bin/bash", "/suite/gcc.sh"),
    "openssl": ("/bin/bash", "/suite/openssl.sh"),
    "sqlite3": ("/bin/sh", "-c", "cd /tmp && sqlite3 file.db < /suite/sqlite.sql"),
    **{
        name: ("/usr/bin/python3", "/suite/modules.py", name)
        for name in (
            "test_math", "test_struct", "test_json", "test_re", "test_hashlib", "test_zlib", "test_sqlite3",
            "test_threading",
        )
    },
}  # fmt: skip
