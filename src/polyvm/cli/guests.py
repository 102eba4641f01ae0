"""Which guests there are, and the specification of one by its name. The designed ones that are missing are refused.

A guest may be specified, so that its instructions can be shown, before it runs programs.
"""

from __future__ import annotations

from polyvm.cli.options import Option, nearest
from polyvm.engine.guest import GUESTS as GUESTS
from polyvm.engine.guest import PLANNED as PLANNED
from polyvm.errors import PolyvmError
from polyvm.isa import SPECIFIED as SPECIFIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.isa.spec import Isa

GUEST = Option("--guest", "GUEST", "The processor whose instructions these are.", default=GUESTS[0])


def check(name: str) -> str:
    """The name of a guest that is specified. Raises PVM-UNSUPPORTED or PVM-USAGE."""
    if name in SPECIFIED:
        return name
    if name in PLANNED:
        raise PolyvmError(
            "PVM-UNSUPPORTED",
            f"The guest {name} does not exist yet.",
            hint=f"There is: {', '.join(SPECIFIED)}.",
            guest=name,
        )
    meant = nearest(name, (*GUESTS, *PLANNED))
    hint = f"Did you mean {meant}? " if meant else ""
    raise PolyvmError(
        "PVM-USAGE", f"There is no guest {name!r}.", hint=f"{hint}There is: {', '.join(SPECIFIED)}."
    )


def load(name: str) -> Isa:
    """The complete specification of a guest."""
    package = __import__(f"polyvm.isa.{check(name)}", fromlist=["load"])
    isa: Isa = package.load()
    return isa
