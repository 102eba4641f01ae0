"""How the command line tells that something failed: text for a person, or one polyvm.error/1 document.

It decides where and how an error is shown, and the exit status; what an error says is `polyvm.errors`' business.
"""

from __future__ import annotations

import sys

from polyvm import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def report(error: BaseException, *, json: bool, debug: bool, run: bool = False) -> int:
    """Show an error; the exit status. With `run`, a document goes to standard error: the rest is the guest's."""
    shown = errors.from_exception(error)
    if debug:
        import traceback

        _write(sys.stderr, "".join(traceback.format_exception(error)))
    if json:
        from polyvm.cli.jsontext import dump

        json = _write(sys.stderr if run else sys.stdout, dump(errors.document(shown)) + "\n")
    if not json:
        _write(sys.stderr, f"polyvm: {errors.render(shown)}\n")
    return errors.exit_status(shown)


def _write(stream: TextIO | None, text: str) -> bool:
    """Write where somebody listens; whether it went. A stream may be closed or full: then the exit status has to do."""
    try:
        if stream is not None:
            stream.write(text)
            stream.flush()
    except OSError:
        return False
    return stream is not None
