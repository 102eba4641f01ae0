"""How the command line tells that something failed: text for a person, or one polyvm.error/1 document.

It decides where and how an error is shown, and the exit status; what an error says is `polyvm.errors`' business.
"""

from __future__ import annotations

import sys

from polyvm import errors


def report(error: BaseException, *, json: bool, debug: bool, run: bool = False) -> int:
    """Show an error; the exit status. With `run`, a document goes to standard error: the rest is the guest's."""
    shown = errors.from_exception(error)
    if debug:
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
    if json:
        from polyvm.cli.jsontext import dump

        stream = sys.stderr if run else sys.stdout
        stream.write(dump(errors.document(shown)) + "\n")
        stream.flush()
    else:
        sys.stderr.write(f"polyvm: {errors.render(shown)}\n")
    return errors.exit_status(shown)
