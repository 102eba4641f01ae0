"""The regions that come to a process while somebody looks at it, whichever engine it has by then (execve)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.engine.executor import Engine
    from polyvm.engine.units import Unit
    from polyvm.user.process import Process


class Arrivals:
    """Tells of each region, and whether it was compiled or came from the disk. Not in children of the process."""

    def __init__(self, process: Process, told: Callable[[Unit, bool], object]) -> None:
        self.process = process
        self.told = told
        self.pid = os.getpid()
        self.compiled = 0
        self._use(process.engine)

    def follow(self) -> None:
        """The process may have another engine by now."""
        if self.process.engine is not self.engine:
            self._use(self.process.engine)

    def _use(self, engine: Engine) -> None:
        self.engine = engine
        engine.on_unit.append(self._installed)
        if engine.units is not None:
            self.compiled = engine.units.compiled

    def _installed(self, unit: Unit) -> None:
        if os.getpid() != self.pid or self.engine.units is None:
            return
        before, self.compiled = self.compiled, self.engine.units.compiled
        self.told(unit, self.compiled > before)
