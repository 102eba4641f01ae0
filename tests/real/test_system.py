"""Debian's programs, unmodified, below --root: they print what Debian's amd64 build prints, natively.

The golden texts are Linux's own: `pytest --full --bless -k native` writes them with the amd64 tree, which
`python tests/real/fetch.py --guest x86_64 --tree system` unpacks; a guest's output is only ever compared.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import require_c
from tests.real import fetch
from tests.user.running import polyvm

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}
NATIVE = "x86_64"

GOLDEN = Path(__file__).parent / "golden/system"
STATUS = {"sqlite3": 1}  # its last statement is wrong on purpose

# Name -> command, below the tree's root. /suite is the folder `programs`, /tmp an empty one.
SUITES = {
    "bash": ("/bin/bash", "/suite/bash.sh"),
    "coreutils": ("/bin/bash", "/suite/coreutils.sh"),
    "gcc": ("/bin/bash", "/suite/gcc.sh"),
    "openssl": ("/bin/bash", "/suite/openssl.sh"),
    "perl": ("/usr/bin/perl", "/suite/perl.pl"),
    "python": ("/usr/bin/python3", "/suite/suite.py"),
    "sqlite3": ("/bin/sh", "-c", "cd /tmp && sqlite3 file.db < /suite/sqlite.sql"),
}
MODULES = (
    "test_math",
    "test_struct",
    "test_json",
    "test_re",
    "test_hashlib",
    "test_zlib",
    "test_sqlite3",
    "test_threading",
)
CASES = SUITES | {name: ("/usr/bin/python3", "-W", "ignore", "/suite/modules.py", name) for name in MODULES}

# What runs each time, for one guest each; --full runs all for both.
QUICK = {"aarch64": ("bash", "perl", "sqlite3", "test_zlib"), "riscv64": ("bash", "coreutils")}
HOST = """
for folder in proc dev; do mount --rbind /$folder "$0/$folder"; done
mkdir -p "$0/suite"; mount --bind "$1" "$0/suite"; mount --bind "$2" "$0/tmp"; shift 2
exec /usr/sbin/chroot "$0" "$@"
"""


def tree(machine: str) -> Path:
    """The tree of a processor, or a skip that says why there is none."""
    try:
        return fetch.root(machine, fetch.SYSTEM)
    except LookupError as error:
        pytest.skip(str(error))


def run(machine: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of a guest's tree, by polyvm."""
    require_c(machine)
    environment = [f"--env={name}={value}" for name, value in ENVIRONMENT.items()]
    return polyvm(
        "--root", tree(machine), "--bind", "/proc:/proc", "--bind", "/dev:/dev", "--bind", f"{folder}:/tmp",
        "--bind", f"{PROGRAMS}:/suite:ro", "--cwd", "/", *environment, *command, timeout=1200,
    )  # fmt: skip


def native(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of the amd64 tree, by Linux: in a mount namespace of its own, which takes root or a user namespace."""
    root = tree(NATIVE)
    unshare = ("unshare", "--map-root-user", "--mount")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip(
            "this machine gives no mount namespace, so the amd64 programs cannot run below their root"
        )
    return subprocess.run(
        [*unshare, "sh", "-c", HOST, root, PROGRAMS, folder, *command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=600,
    )  # fmt: skip


def cases() -> list[object]:
    """Every program for every guest, those that are not quick marked as full."""
    return [
        pytest.param(machine, name, id=f"{machine} {name}", marks=() if name in quick else pytest.mark.full)
        for machine, quick in QUICK.items()
        for name in CASES
    ]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("machine", "name"), cases())
def test_a_guest_says_what_linux_says(
    machine: str, name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("--bless"):
        pytest.skip("only amd64's programs write golden texts")
    done = run(machine, tmp_path, *CASES[name])
    assert (done.stdout, done.returncode) == ((GOLDEN / f"{name}.txt").read_text(), STATUS.get(name, 0)), (
        done.stderr
    )


@pytest.mark.full
@pytest.mark.parametrize("name", CASES)
def test_native(name: str, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    """The golden texts are what the same versions print natively."""
    done = native(tmp_path, *CASES[name])
    assert done.returncode == STATUS.get(name, 0), done.stderr
    golden(f"system/{name}.txt", done.stdout)


SPEEDS = (
    "md5",
    "sha256",
    "sha512",
    "aes-128-cbc",
    "aes-256-gcm",
    "chacha20-poly1305",
    "rsa2048",
    "ecdsap256",
)


@pytest.mark.full
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("machine", QUICK)
def test_openssl_measures_its_speed(machine: str, tmp_path: Path) -> None:
    for name in SPEEDS:
        words = ("-evp", name) if "-" in name else (name,)
        done = run(machine, tmp_path, "/usr/bin/openssl", "speed", "-seconds", "1", "-mr", *words)
        assert done.returncode == 0, done.stderr
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(("+F:", "+F2:", "+F4:")))
        rates = [float(number) for number in line.split(":")[3:]]
        assert min(rates) > 0, line
