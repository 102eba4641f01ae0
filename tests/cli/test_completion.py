"""Completion scripts: made from the commands' own tables, and what bash completes with them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from polyvm.cli import completion, main
from tests.cli.conftest import Done

Cli = Callable[..., Done]


def complete(*words: str) -> list[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f"{completion.bash()}\nCOMP_WORDS=(polyvm {quoted}); COMP_CWORD={len(words)}\n"
        '_polyvm; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_and_values() -> None:
    assert set(main.COMMANDS) <= set(complete(""))
    assert complete("dis") == ["disasm"]
    assert complete("run", "--sys") == ["--sysroot"]
    assert complete("run", "--tier", "in") == ["interpreter"]
    assert set(complete("cache", "")) == {"info", "ls", "verify", "prune", "clear"}
    assert complete("completion", "f") == ["fish"]
    assert complete("isa", "--de") == ["--debug"]


def test_bash_leaves_the_programs_own_arguments_alone() -> None:
    assert complete("run", "./prog", "--t") == []
    assert complete("run", "--env", "A=b", "./prog", "--t") == []
    assert complete("run", "--env", "A=b", "--ti") == ["--timeout", "--tier"] or complete(
        "run", "--env", "A=b", "--ti"
    ) == ["--tier", "--timeout"]


def test_bash_completes_folders_where_folders_go() -> None:
    assert "/usr" in complete("run", "--sysroot", "/us")
    assert "/etc/passwd" in complete("disasm", "/etc/passw")


def test_every_script_knows_every_option_that_exists() -> None:
    for shell in (completion.bash(), completion.zsh()):
        for command in completion.commands().values():
            for option in command.options:
                if not option.later:
                    assert option.name in shell
    fish = completion.fish()
    for name, command in completion.commands().items():
        for option in command.options:
            line = f"complete -c polyvm -n '__fish_seen_subcommand_from {name}' -l {option.name[2:]}"
            assert (line in fish) is not bool(option.later)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_shells_themselves_accept_the_script(cli: Cli, shell: str) -> None:
    done = cli("completion", shell)
    assert done.status == 0
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    checked = subprocess.run([shell, "-n"], input=done.out, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_other_shells_are_refused(cli: Cli) -> None:
    done = cli("completion", "tcsh")
    assert (done.status, done.code()) == (125, "PVM-USAGE")
    assert "bash, zsh, fish" in done.err
