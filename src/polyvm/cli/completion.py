"""`polyvm completion SHELL`: a completion script, made from the same tables as the parser and the help."""

from __future__ import annotations

import sys

from polyvm.cli.options import DEBUG, FILE, FOLDER, Command, Option, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.cli.options import Values

SHELLS = ("bash", "zsh", "fish")

COMMAND = Command(
    "completion",
    usage=("SHELL",),
    about="""
Prints a script with which the shell completes commands, options and their values.
""",
    arguments=(("SHELL", "bash, zsh or fish."),),
    options=(DEBUG,),
    examples=(
        ("In ~/.bashrc", 'eval "$(polyvm completion bash)"'),
        ("In ~/.zshrc, after compinit", 'eval "$(polyvm completion zsh)"'),
        ("For fish, once", "polyvm completion fish > ~/.config/fish/completions/polyvm.fish"),
    ),
    takes=(1, 1),
    complete=SHELLS,
)


def execute(values: Values) -> int:
    """Print the script."""
    shell = values.arguments[0]
    if shell not in SHELLS:
        raise usage(COMMAND, f"There is no completion for {shell!r}.", f"The shells are {', '.join(SHELLS)}.")
    sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[shell]())
    return 0


def commands() -> dict[str, Command]:
    """Every command, loaded."""
    from polyvm.cli import main

    return {name: main.load(name).COMMAND for name in main.COMMANDS}


def _shown(command: Command) -> list[Option]:
    return [option for option in command.options if not option.later]


def _names(command: Command) -> list[str]:
    return [name for option in _shown(command) for name in (option.short, option.name) if name]


def _bash_values(option: Option) -> str:
    if option.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$cur"))'
    return {FILE: 'COMPREPLY=($(compgen -f -- "$cur"))', FOLDER: 'COMPREPLY=($(compgen -d -- "$cur"))'}.get(
        option.complete, "COMPREPLY=()"
    )


def bash() -> str:
    """The script for bash; zsh reads it too."""
    found = commands()
    lines = [
        "# polyvm completion",
        "_polyvm() {",
        '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" word index',
        '  if [ "$COMP_CWORD" -eq 1 ]; then',
        f'    COMPREPLY=($(compgen -W "{" ".join(found)} --help --version" -- "$cur"))',
        "    return",
        "  fi",
        '  case "${COMP_WORDS[1]}" in',
    ]
    for name, command in found.items():
        taking = [option for option in _shown(command) if option.metavar]
        lines.append(f"  {name})")
        if command.stops:
            # Behind PROGRAM, its own arguments: file names.
            skip = "|".join(option.name for option in taking)
            lines += [
                "    index=2",
                '    while [ "$index" -lt "$COMP_CWORD" ]; do',
                '      word="${COMP_WORDS[index]}"',
                '      case "$word" in',
                f"        {skip}) index=$((index + 2)) ;;",
                "        -*) index=$((index + 1)) ;;",
                '        *) COMPREPLY=($(compgen -f -- "$cur")); return ;;',
                "      esac",
                "    done",
            ]
        lines.append('    case "$prev" in')
        for option in taking:
            lines.append(f"      {option.name}) {_bash_values(option)}; return ;;")
        lines.append("    esac")
        lines.append('    case "$cur" in')
        lines.append(f'      -*) COMPREPLY=($(compgen -W "{" ".join(_names(command))}" -- "$cur")) ;;')
        if isinstance(command.complete, str):
            rest = 'COMPREPLY=($(compgen -f -- "$cur"))' if command.complete == FILE else "COMPREPLY=()"
        else:
            rest = f'COMPREPLY=($(compgen -W "{" ".join(command.complete)}" -- "$cur"))'
        lines += [f"      *) {rest} ;;", "    esac ;;"]
    lines += ["  esac", "}", "complete -o filenames -o bashdefault -F _polyvm polyvm"]
    return "\n".join(lines) + "\n"


def zsh() -> str:
    """The script for zsh: bash's, which zsh's bashcompinit understands."""
    return "autoload -U +X bashcompinit && bashcompinit\n" + bash()


def fish() -> str:
    """The script for fish, which also shows what each option is for."""
    from polyvm.cli import main

    found = commands()
    lines = ["# polyvm completion", "complete -c polyvm -f"]
    alone = "__fish_use_subcommand"
    for name, summary in main.COMMANDS.items():
        lines.append(f"complete -c polyvm -n {alone} -a {name} -d {_quote(summary)}")
    for name, command in found.items():
        seen = f"'__fish_seen_subcommand_from {name}'"
        for option in _shown(command):
            line = f"complete -c polyvm -n {seen} -l {option.name[2:]}"
            if option.short:
                line += f" -s {option.short[1:]}"
            if option.metavar:
                line += " -r"
                if option.choices:
                    line += f" -f -a {_quote(' '.join(option.choices))}"
                elif option.complete in (FILE, FOLDER):
                    line += " -F"
                else:
                    line += " -f"
            lines.append(f"{line} -d {_quote(option.help)}")
        if not isinstance(command.complete, str):
            lines.append(f"complete -c polyvm -n {seen} -a {_quote(' '.join(command.complete))}")
        elif command.complete == FILE:
            lines.append(f"complete -c polyvm -n {seen} -F")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
