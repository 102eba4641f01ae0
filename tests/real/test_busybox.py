"""BusyBox, as Debian ships it for each guest: its shell and tools print what this machine's own print."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.user.running import TIERS, polyvm

# Run by BusyBox's shell, whose tools are itself, and by the host's shell with the host's tools: in a folder with the
# files below. What is in braces is needed on the host.
SAME = {
    "pipeline": "seq 1 2000 | sort -rn | head -3",
    "awk sums {awk}": "awk '{ n[$1] += $3; t += $3 } END { for (k in n) print k, n[k]; print t }' table | sort",
    "awk functions {awk}": "awk 'function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } "
    "BEGIN { print f(15), substr(\"polyvm\", 2, 3), length(\"abc\"), 7 % 4 }'",
    "awk floats {awk}": "awk 'BEGIN { for (i = 1; i < 9; i++) printf \"%.6f %g %d\\n\", i / 7, i * i / 3e9, i * 1.5 }'",
    "sort by keys": "sort -t: -k2,2n -k1,1r table2 && sort -u table2 | wc -l",
    "sort numbers": "sort -n -k3 table | tail -5",
    "uniq and cut": "cut -c1-3 table | sort | uniq -c | sort -rn | awk '{ print $1, $2 }'",
    "checksums": "sha256sum table table2 binary && md5sum < binary && sha512sum binary | cut -c1-32",
    "tar and gzip": "tar cf - table table2 binary | gzip -9 | gunzip | tar xOf - binary | sha256sum",
    "bzip2 {bzip2}": "bzip2 -c table | bunzip2 | cksum",
    "od and tr": "od -An -tx1 binary | head -4; tr a-z A-Z < table | head -2",
    "sed": "sed -n -e 's/\\(a.\\)\\(.\\)/\\2\\1/gp' table | head -4; sed '1,3d;$s/^/> /' table2 | tail -2",
    "grep": "grep -c '[aeiou]\\{2\\}' table; grep -nv e table2 | head -3; grep -E 'x|yz?$' table | wc -l",
    "find and xargs": "find . -type f -name 'table*' | sort | xargs cat | wc -c",
    "substitution": 'for i in a b c; do echo "$(echo $i | tr abc xyz)$((3 * 3))"; done; echo ${PWD##*/}',
    "subshells": "(cd /; pwd); x=1; (x=2); echo $x; { echo in; } | cat; cat <<end\n$x and $((7*6))\nend",
    "background jobs": "for i in 1 2 3; do (sleep 0.$i; echo $i) & done; wait; echo done",
    "exit status": "false; echo $?; sh -c 'exit 7'; echo $?; true && ! false; echo $?",
    "trap": "trap 'echo got' USR1; kill -USR1 $$; trap 'echo bye' EXIT; echo end",
    "a child dies of a signal": "sh -c 'kill -KILL $$'; echo $?",
    "SIGPIPE": "yes | head -2",
    "a script": "printf '#!/bin/sh\\necho \"$0 $1\"\\n' > script; chmod +x script; ./script word",
    "files": "mkdir -p d/e; echo x > d/e/f; cp -r d d2; mv d2/e/f d2/g; ln -s g d2/l; "
    "cat d2/l; find d d2 | sort; rm -r d d2",
    "here and there": "ls -1; test -f table && echo yes; stat -c '%s %F' binary; basename /a/b.c .c; dirname /a/b",
    "dates": "TZ=UTC0 date -d @86399 '+%Y-%m-%d %H:%M:%S'",
    "arithmetic": "expr 7 '*' 6; echo $((1 << 40)) $((-7 / 2)) $((-7 % 3)); printf '%05d|%x|%o\\n' 42 255 8",
    "a program of the host": "/bin/echo native; /bin/sh -c 'exit 26'; echo $?",
}  # fmt: skip


def make_files(folder: Path) -> None:
    rng = random.Random(1)
    words = ["".join(rng.choice("aeixyz") for _ in range(4)) for _ in range(40)]
    table = [f"{rng.choice(words)} {rng.choice(words)} {rng.randrange(100000)}" for _ in range(400)]
    (folder / "table").write_text("\n".join(table) + "\n")
    (folder / "table2").write_text("".join(f"{rng.choice(words)}:{rng.randrange(50)}\n" for _ in range(100)))
    (folder / "binary").write_bytes(rng.randbytes(60_000) + bytes(5_000))


def host_says(script: str, folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    return done.returncode, done.stdout


ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


@pytest.mark.parametrize("name", SAME)
def test_the_shell_says_what_the_hosts_says(name: str, busybox: Path, tmp_path: Path) -> None:
    tool = name.partition("{")[2].rstrip("}")
    if tool and not shutil.which(tool):
        pytest.skip(f"{tool} is not on this machine")
    script = SAME[name]
    results = []
    for kind in ("guest", "host"):
        folder = tmp_path / kind / "here"
        folder.mkdir(parents=True)
        make_files(folder)
        if kind == "host":
            results.append(host_says(script, folder))
        else:
            # BusyBox looks for its own tools before PATH; what it prints beside its output is not compared.
            environment = [f"--env={key}={value}" for key, value in ENVIRONMENT.items()]
            done = polyvm(*environment, "--cwd", folder, busybox, "sh", "-c", script)
            results.append((done.returncode, done.stdout))
    assert results[0] == results[1]


def test_archives_go_both_ways(busybox: Path, tmp_path: Path) -> None:
    make_files(tmp_path)
    done = polyvm(
        "--cwd", tmp_path, busybox, "sh", "-c", "tar czf ours.tar.gz table binary; gzip -k -9 table2"
    )
    assert (done.returncode, done.stdout) == (0, "")
    for command, name in (
        ("tar xzOf ours.tar.gz binary", "binary"),
        ("tar xzOf ours.tar.gz table", "table"),
        ("gzip -dc table2.gz", "table2"),
    ):
        unpacked = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=True).stdout
        assert unpacked == (tmp_path / name).read_bytes()
    subprocess.run(["tar", "czf", "theirs.tar.gz", "table", "binary"], cwd=tmp_path, check=True)
    script = (
        "mkdir out; cd out; tar xzf ../theirs.tar.gz; cmp table ../table && cmp binary ../binary && echo same"
    )
    done = polyvm("--cwd", tmp_path, busybox, "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "same\n", "")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("script", "status", "output"),
    [
        ("exit 7", 7, ""),
        ("kill -TERM $$", -15, ""),
        ("trap 'echo alarm; exit 3' ALRM; (sleep 0.1; kill -ALRM $$) & while :; do :; done", 3, "alarm\n"),
        ("sleep 5 & kill -9 $!; wait $!; echo $?", 0, "137\n"),
        ("uname -m; exec sh -c 'uname -m'", 0, "{machine}\n{machine}\n"),
        ("nosuch; echo $?; /etc/passwd; echo $?", 0, "127\n126\n"),
    ],
)
def test_how_a_shell_ends(
    machine: str, busybox: Path, tier: str, script: str, status: int, output: str
) -> None:
    done = polyvm("--tier", tier, busybox, "sh", "-c", script)
    assert (done.returncode, done.stdout) == (status, output.format(machine=machine))


LOWEST = {"riscv64": "00010000-", "aarch64": "00400000-"}
"""Where linkers put a guest's static programs."""


def test_what_proc_says(machine: str, busybox: Path) -> None:
    script = (
        "readlink /proc/self/exe; head -1 /proc/self/maps; ls /proc/self/fd; tr '\\0' ' ' < /proc/$$/cmdline"
    )
    done = polyvm(busybox, "sh", "-c", script)
    lines = done.stdout.splitlines()
    assert lines[0] == str(busybox)
    assert lines[1].startswith(LOWEST[machine])
    assert lines[1].endswith(str(busybox))
    assert lines[2:6] == ["0", "1", "2", "3"]
    assert lines[6] == f"{busybox} sh -c {script} "


def test_nothing_but_the_root_is_seen(sysroot: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("bin", "etc", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(sysroot / "usr/bin/busybox", root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "etc/passwd").write_text("guest:x:0:0::/:/bin/sh\n")
    (root / "escape").symlink_to("../../../../etc/passwd")
    (root / "absolute").symlink_to("/etc/passwd")
    bound = tmp_path / "bound"
    bound.mkdir()
    (bound / "file").write_text("bound\n")
    script = (
        "pwd; ls /; cat /etc/passwd /escape /absolute /../../etc/passwd; cd ..; pwd; cat /data/file; "
        "echo x > /tmp/made; cat /tmp/made; echo no > /data/file; cat /data/../etc/passwd; "
        "readlink /proc/self/exe; bin/sh -c 'echo $0'; /usr/bin/env; echo $?"
    )
    done = polyvm(
        "--root", root, "--bind", f"{bound}:/data:ro", "--cwd", "/", "/bin/sh", "-c", script,
    )  # fmt: skip
    guest = "guest:x:0:0::/:/bin/sh"
    assert done.stdout.splitlines() == [
        "/", "absolute", "bin", "escape", "etc", "tmp", guest, guest, guest, guest, "/", "bound", "x", guest,
        "/bin/busybox", "bin/sh", "127",
    ]  # fmt: skip
    assert (root / "tmp/made").read_text() == "x\n"
    assert (bound / "file").read_text() == "bound\n"
