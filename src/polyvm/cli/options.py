"""What a command's options are and how its arguments are taken apart: one table for parser, help and completion.

Hand-written, because a plain `polyvm run` may import almost nothing. It refuses what it does not know as PVM-USAGE,
with the nearest name, and it never abbreviates: an option added later must not change what an old script means.
"""

from __future__ import annotations

from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

# What completion offers for a value, where it is no choice: a file, a folder, or nothing.
FILE, FOLDER, WORD = "file", "folder", "word"


class Option:
    """One option of a command.

    metavar: what its value is called in the help; empty for a switch. convert: text to value, raising ValueError
    with the second half of the sentence "--timeout 'x' ...". choices: the values allowed; planned: those that do not
    exist yet, with what to do meanwhile. many: may be given several times, and yields a list. env: the variable that
    stands in for it. later: the whole option does not exist yet, and this is what to do meanwhile.
    """

    __slots__ = ("choices", "complete", "convert", "default", "env", "group", "help", "key", "later", "many",
                 "metavar", "name", "planned", "short")  # fmt: skip

    def __init__(
        self,
        name: str,
        metavar: str = "",
        help: str = "",
        *,
        short: str = "",
        convert: Callable[[str], Any] | None = None,
        choices: Sequence[str] = (),
        planned: Mapping[str, str] | None = None,
        default: Any = None,
        many: bool = False,
        env: str = "",
        group: str = "Options",
        complete: str = WORD,
        later: str = "",
    ) -> None:
        self.name = name
        self.metavar = metavar
        self.help = help
        self.short = short
        self.convert = convert
        self.choices = choices
        self.planned = planned or {}
        self.default = default
        self.many = many
        self.env = env
        self.group = group
        self.complete = complete
        self.later = later
        self.key = name.lstrip("-").replace("-", "_")


class Command:
    """A command: what it is for, how it is called, its options, and examples that teach.

    usage: lines after the command's name. arguments: (name, help) of each positional argument. stops: options end at
    the first argument that is none, because what follows belongs to somebody else. takes: least and most positional
    arguments, None for any number. complete: what completion offers for them.
    """

    __slots__ = ("about", "arguments", "complete", "examples", "name", "options", "stops", "takes", "usage")

    def __init__(
        self,
        name: str,
        *,
        usage: Sequence[str],
        about: str,
        options: Sequence[Option],
        arguments: Sequence[tuple[str, str]] = (),
        examples: Sequence[tuple[str, str]] = (),
        stops: bool = False,
        takes: tuple[int, int | None] = (0, 0),
        complete: str | Sequence[str] = WORD,
    ) -> None:
        self.name = name
        self.usage = usage
        self.about = about
        self.arguments = arguments
        self.options = (*options, HELP)
        self.examples = examples
        self.stops = stops
        self.takes = takes
        self.complete = complete

    def find(self, name: str) -> Option | None:
        """The option of this name, long or short."""
        for option in self.options:
            if name == option.name or (name and name == option.short):
                return option
        return None


class Values:
    """What was given: each option as an attribute (defaults filled in), and the positional arguments."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self.given: set[str] = set()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...


HELP = Option("--help", "", "Show this help.", short="-h", group="Help")
JSON = Option("--json", "", "Print one JSON document instead of text; errors too.")
DEBUG = Option("--debug", "", "On an error, show Python's traceback as well.", group="Help")


def parse(
    command: Command, argv: Sequence[str], environ: dict[str, str] | None = None, values: Values | None = None
) -> Values:
    """Take arguments apart. Raises PVM-USAGE, and PVM-UNSUPPORTED for an option whose time has not come.

    With --help among the options nothing else is checked: `values.help` is True. values: where to put them, for who
    wants to know what was understood when it fails.
    """
    values = Values() if values is None else values
    for option in command.options:
        default = option.default
        if option.convert is not None and isinstance(default, str):
            default = option.convert(default)
        setattr(values, option.key, [] if option.many else default if option.metavar else False)
    index = 0
    while index < len(argv):
        word = argv[index]
        index += 1
        if word == "--":
            values.arguments += argv[index:]
            break
        if len(word) < 2 or word[0] != "-":
            values.arguments.append(word)
            if command.stops:
                values.arguments += argv[index:]
                break
            continue
        name, equals, text = word.partition("=")
        found = command.find(name)
        if found is None:
            raise _unknown(command, name)
        if found is HELP:
            values.help = True
            return values
        if not found.metavar:
            if equals:
                raise usage(command, f"{name} takes no value, and {word!r} gives one.")
            setattr(values, found.key, True)
        else:
            if not equals:
                if index == len(argv):
                    raise usage(command, f"{name} needs a value: {found.name} {found.metavar}.")
                text = argv[index]
                index += 1
            _take(command, values, found, found.name, text)
        values.given.add(found.key)
        if found.later:
            raise not_yet(f"{found.name} of polyvm {command.name}", found.later)
    for option in command.options if environ is not None else ():
        if option.env and option.key not in values.given:
            text = environ.get(option.env, "") if environ is not None else ""
            if text:
                _take(command, values, option, option.env, text)
    _count(command, values)
    return values


def wants_json(command: Command, argv: Sequence[str]) -> bool:
    """Whether --json is among the options, for when they could not be taken apart."""
    index = 0
    while index < len(argv) and argv[index] != "--":
        word = argv[index]
        index += 1
        if word == "--json":
            return True
        if len(word) < 2 or word[0] != "-":
            if command.stops:
                break
            continue
        found = command.find(word)
        if found is None:
            # Perhaps a misspelt option with a value: a word that follows it is no program's name then.
            meant = nearest(word.lstrip("-"), [option.name[2:] for option in command.options])
            found = command.find(f"--{meant}") if meant is not None else None
        if found is not None and found.metavar and "=" not in word:
            index += 1
    return False


def usage(command: Command, message: str, hint: str | None = None, **context: object) -> PolyvmError:
    """The error of a command that was called wrongly."""
    hint = hint or f"polyvm {command.name} --help explains every option.".replace("  ", " ")
    return PolyvmError("PVM-USAGE", message, hint=hint, **context)


def not_yet(what: str, instead: str) -> PolyvmError:
    """The error of something that the design names and that does not exist yet."""
    return PolyvmError("PVM-UNSUPPORTED", f"{what} does not exist yet.", hint=instead)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(known), 1, 0.6)
    return found[0] if found else None


def _take(command: Command, values: Values, option: Option, origin: str, text: str) -> None:
    """Convert and keep one value; origin is where it came from, for the message."""
    if text in option.planned:
        raise not_yet(f"The {option.key} {text}", option.planned[text])
    if option.choices and text not in option.choices:
        meant = nearest(text, option.choices)
        hint = f"Did you mean {meant}? " if meant else ""
        raise usage(
            command, f"{origin} {text!r} is not one of {', '.join(option.choices)}.", hint + _how(option)
        )
    value: Any = text
    if option.convert is not None:
        try:
            value = option.convert(text)
        except ValueError as error:
            raise usage(command, f"{origin} {text!r} {error}.", _how(option)) from None
    if option.many:
        getattr(values, option.key).append(value)
    else:
        setattr(values, option.key, value)


def _how(option: Option) -> str:
    return f"{option.name} {option.metavar}: {option.help}"


def _unknown(command: Command, name: str) -> PolyvmError:
    # Without the dashes, which all have in common: --foo is not --root.
    near = nearest(name.lstrip("-"), [option.name[2:] for option in command.options])
    meant = None if near is None else f"--{near}"
    where = f"polyvm {command.name}".rstrip()
    if meant is not None:
        hint = f"Did you mean {meant}? {where} --help lists every option."
    else:
        hint = f"{where} --help lists every option."
    if command.stops:
        hint += " Options for the program itself go behind its name."
    return PolyvmError("PVM-USAGE", f"{where} has no option {name}.", hint=hint)


def _count(command: Command, values: Values) -> None:
    least, most = command.takes
    count = len(values.arguments)
    names = [name for name, _ in command.arguments]
    if count < least:
        raise usage(
            command, f"polyvm {command.name} needs {' '.join(names[:least])}.", f"Usage: {_usage(command)[0]}"
        )
    if most is not None and count > most:
        extra = values.arguments[most]
        raise usage(command, f"polyvm {command.name} does not take the argument {extra!r}.",
                    f"Usage: {_usage(command)[0]}")  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- help
WIDTH = 80
COLUMN = 26


def help_text(command: Command) -> str:
    """A command's help: usage, what it does, examples, arguments, and its options by group."""
    lines = [("Usage: " if not number else "       ") + text for number, text in enumerate(_usage(command))]
    lines += ["", *_paragraphs(command.about)]
    if command.examples:
        lines += ["", "Examples:"]
        for what, example in command.examples:
            lines += [*wrap(what + ":", "  "), f"    {example}"]
    if command.arguments:
        lines += ["", "Arguments:"]
        for name, what in command.arguments:
            lines += entry(name, what)
    groups: dict[str, list[Option]] = {}
    for option in command.options:
        if not option.later:
            groups.setdefault(option.group, []).append(option)
    for group, options in groups.items():
        lines += ["", f"{group}:"]
        for option in options:
            lines += entry(_left(option), _right(option))
    return "\n".join(lines) + "\n"


def _usage(command: Command) -> list[str]:
    return [f"polyvm {command.name} {text}".replace("  ", " ").rstrip() for text in command.usage]


def _left(option: Option) -> str:
    name = f"{option.short}, {option.name}" if option.short else option.name
    return f"{name} {option.metavar}" if option.metavar else name


def _right(option: Option) -> str:
    text = option.help
    if option.choices and option.metavar.isupper():
        many = len(option.choices) > 1
        text += f" One of {', '.join(option.choices)}." if many else f" Only {option.choices[0]} so far."
    if option.many:
        text += " May be repeated."
    if option.env:
        text += f" Default: ${option.env}."
    elif isinstance(option.default, str | int | float) and option.default != "":
        text += f" Default: {option.default}."
    return text


def entry(left: str, right: str) -> list[str]:
    """Two columns; a left one that is too long has a line of its own."""
    lines = wrap(right, " " * COLUMN)
    if len(left) + 4 <= COLUMN and lines:
        lines[0] = f"  {left}".ljust(COLUMN) + lines[0][COLUMN:]
        return lines
    return [f"  {left}", *lines]


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ""
        yield from wrap(" ".join(paragraph.split()), "")


def wrap(text: str, indent: str) -> list[str]:
    """Words to lines of at most WIDTH columns (textwrap would import re)."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and len(indent) + len(line) + 1 + len(word) > WIDTH:
            lines.append(indent + line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, indent + line] if line else lines
