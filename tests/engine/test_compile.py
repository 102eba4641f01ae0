"""LLVM's objects in our hands: what was made is given back, in the order that LLVM wants, however it ends."""

from __future__ import annotations

import pytest

from polyvm.engine import compile as compiler
from polyvm.errors import PolyvmError

TEXT = "define i64 @unit(i64 %a) {\n  %b = add i64 %a, 1\n  ret i64 %b\n}\n"


def test_a_module_and_its_context_are_closed_whatever_happens() -> None:
    made = []

    def fail() -> None:
        with compiler.optimised(compiler.target_machine(2), TEXT, 1, loops=False, straight=False) as module:
            made.extend([module, module._context])
            raise ZeroDivisionError(str(module))

    with pytest.raises(ZeroDivisionError, match="@unit"):
        fail()
    assert [each.closed for each in made] == [True, True]


@pytest.mark.parametrize(
    "text",
    ["define i64 @unit(", TEXT.replace("ret i64 %b", "ret i64 %c"), TEXT.replace("i64 %b\n", "i32 0\n")],
)
def test_text_that_is_refused(text: str) -> None:
    with pytest.raises(PolyvmError, match="LLVM refuses the text") as caught:
        compiler.compile_object(text)
    assert caught.value.code == "PVM-COMPILE-FAILED"
