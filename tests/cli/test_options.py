"""Taking arguments apart: what is understood, what is refused, and how the refusal helps."""

from __future__ import annotations

import pytest

from polyvm.cli.options import DEBUG, JSON, Command, Option, help_text, parse, wants_json, wrap
from polyvm.errors import PolyvmError


def number(text: str) -> int:
    if not text.isdigit():
        raise ValueError("is no number")
    return int(text)


PLAIN = Command(
    "plain",
    usage=("[OPTIONS] THING [MORE]",),
    about="Does things.",
    arguments=(("THING", "What."), ("MORE", "What else.")),
    options=(
        Option("--count", "N", "How often.", convert=number, default="3", short="-n"),
        Option("--colour", "COLOUR", "Which.", choices=("red", "blue"), planned={"green": "Use blue."}),
        Option("--add", "X", "One more.", many=True),
        Option("--place", "DIR", "Where.", env="PLACE"),
        Option("--future", "X", later="Wait."),
        JSON,
        DEBUG,
    ),
    takes=(1, 2),
)
PROGRAM = Command(
    "start", usage=("PROGRAM",), about="Starts.", options=(JSON, DEBUG), stops=True, takes=(1, None)
)


def test_defaults_are_converted_and_all_there() -> None:
    values = parse(PLAIN, ["x"], {})
    assert values.count == 3
    assert values.colour is None
    assert values.add == []
    assert values.json is False
    assert values.arguments == ["x"]
    assert values.given == set()


@pytest.mark.parametrize(
    "words", [["--count", "7", "x"], ["--count=7", "x"], ["x", "-n", "7"], ["-n=7", "x"]]
)
def test_a_value_may_stand_in_three_ways(words: list[str]) -> None:
    values = parse(PLAIN, words)
    assert (values.count, values.arguments, values.given) == (7, ["x"], {"count"})


def test_repeated_options_add_up_and_others_are_replaced() -> None:
    values = parse(PLAIN, ["--add", "1", "--count", "1", "--add=2", "--count", "2", "x"])
    assert values.add == ["1", "2"]
    assert values.count == 2


def test_two_dashes_end_options() -> None:
    assert parse(PLAIN, ["--", "--count", "y"]).arguments == ["--count", "y"]
    assert parse(PLAIN, ["-"]).arguments == ["-"]


def test_options_behind_a_program_are_its_own() -> None:
    assert parse(PROGRAM, ["--json", "prog", "--json", "-x", "--", "y"]).arguments == [
        "prog",
        "--json",
        "-x",
        "--",
        "y",
    ]
    assert parse(PROGRAM, ["--", "--prog", "--json"]).arguments == ["--prog", "--json"]


def test_the_environment_stands_in_and_is_outdone() -> None:
    assert parse(PLAIN, ["x"], {"PLACE": "/a"}).place == "/a"
    assert parse(PLAIN, ["x", "--place", "/b"], {"PLACE": "/a"}).place == "/b"
    assert parse(PLAIN, ["x"], {"PLACE": ""}).place is None


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ([], "needs THING", "Usage: polyvm plain"),
        (["a", "b", "c"], "does not take the argument 'c'", "Usage"),
        (["--cuont", "1", "x"], "has no option --cuont", "Did you mean --count?"),
        (["-cuont", "x"], "has no option -cuont", "Did you mean --count?"),
        (["--zzz", "x"], "has no option --zzz.", "polyvm plain --help lists every option."),
        (["x", "--count"], "--count needs a value: --count N", "--help explains"),
        (["x", "--count", "many"], "--count 'many' is no number", "How often"),
        (["x", "--colour", "rde"], "--colour 'rde' is not one of red, blue", "Did you mean red?"),
        (["x", "--json=yes"], "--json takes no value", "--help"),
        (["x", "--json="], "--json takes no value", "--help"),
        (["--coun", "3", "x"], "has no option --coun.", "Did you mean --count?"),
    ],
)
def test_what_cannot_be_understood_is_usage(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(PolyvmError) as caught:
        parse(PLAIN, words)
    assert caught.value.code == "PVM-USAGE"
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("words", "hint"), [(["--colour", "green"], "Use blue."), (["--future", "1"], "Wait.")]
)
def test_what_does_not_exist_yet_is_refused_by_name(words: list[str], hint: str) -> None:
    with pytest.raises(PolyvmError) as caught:
        parse(PLAIN, [*words, "x"])
    assert caught.value.code == "PVM-UNSUPPORTED"
    assert caught.value.hint == hint


def test_help_needs_nothing_else() -> None:
    assert parse(PLAIN, ["--count", "1", "-h", "--nonsense"]).help is True


def test_a_bad_value_of_the_environment_names_the_variable() -> None:
    command = Command("c", usage=("",), about="", options=(Option("--n", "N", convert=number, env="COUNT"),))
    with pytest.raises(PolyvmError, match="COUNT 'x' is no number"):
        parse(command, [], {"COUNT": "x"})


def test_json_is_found_where_the_rest_cannot_be_understood() -> None:
    assert wants_json(PLAIN, ["--nonsense", "--json"])
    assert wants_json(PLAIN, ["--count", "x", "y", "--json"])
    assert not wants_json(PLAIN, ["--add", "--json"])
    assert not wants_json(PLAIN, ["--", "--json"])
    assert not wants_json(PROGRAM, ["prog", "--json"])
    assert wants_json(PROGRAM, ["--jsn", "--json", "prog"])


def test_help_shows_what_can_be_used_and_hides_what_cannot() -> None:
    text = help_text(PLAIN)
    assert "Usage: polyvm plain [OPTIONS] THING [MORE]" in text
    assert "-n, --count N" in text
    assert "Default: $PLACE" in text
    assert "One of red, blue." in text
    assert "future" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_word_longer_than_a_line_keeps_its_own() -> None:
    assert wrap("a " + "b" * 100 + " c", "  ") == ["  a", "  " + "b" * 100, "  c"]
