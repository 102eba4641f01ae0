"""Which devices there are as time goes on, who hears of it, and who may use what.

Devices appear, vanish and fail; a device is known by its UUID, so that one that was plugged in again is the same. The
simulated back end has devices that tests plug in and pull out; they work as the processor does. A policy says which
devices may be used, how much memory a context may have, and how long a kernel may run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

from polyvm.compute.backend import DeviceInfo, Driver, failure

Listener = Callable[[str, DeviceInfo], None]
CHANGES = ("added", "removed", "failed")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a context may have: bytes of memory, seconds of a kernel; None for no limit."""

    memory: int | None = None
    kernel_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Which devices may be used, by UUID, PCI address or back end (None: all), and with which limits."""

    allowed: frozenset[str] | None = None
    limits_of: dict[str, Limits] = field(default_factory=dict)
    default: Limits = field(default_factory=Limits)

    def allows(self, info: DeviceInfo) -> bool:
        """Whether a device may be used."""
        return self.allowed is None or bool(self.allowed & {info.uuid, info.pci or "", info.backend})

    def limits(self, info: DeviceInfo) -> Limits:
        """The limits on a device. Raises PVM-GPU-DEVICE where it may not be used."""
        if not self.allows(info):
            raise failure("device", f"The policy does not allow {info.name}.", uuid=info.uuid)
        return self.limits_of.get(info.uuid) or self.limits_of.get(info.backend) or self.default


class _State:
    def __init__(self) -> None:
        self.lock = Lock()
        self.policy = Policy()
        self.listeners: dict[int, Listener] = {}
        self.next = 1
        self.simulated: dict[str, DeviceInfo] = {}
        self.gone: set[str] = set()


_state = _State()


def policy() -> Policy:
    """The policy that holds."""
    return _state.policy


def set_policy(new: Policy) -> Policy:
    """Let another policy hold for contexts opened from now on; the one before."""
    old, _state.policy = _state.policy, new
    return old


def subscribe(listener: Listener) -> int:
    """Hear of changes: (one of CHANGES, the device). A number to unsubscribe with."""
    with _state.lock:
        number = _state.next
        _state.next += 1
        _state.listeners[number] = listener
    return number


def unsubscribe(number: int) -> None:
    """Hear no more."""
    with _state.lock:
        _state.listeners.pop(number, None)


def announce(what: str, info: DeviceInfo) -> None:
    """Tell everybody that a device appeared, vanished or failed."""
    with _state.lock:
        (_state.gone.discard if what == "added" else _state.gone.add)(info.uuid)
        listeners = list(_state.listeners.values())
    for listener in listeners:
        listener(what, info)


def check_present(info: DeviceInfo) -> None:
    """Raise PVM-GPU-DEVICE for a device that vanished."""
    if info.uuid in _state.gone:
        raise failure("lost", f"The device {info.name} is not there any more.", uuid=info.uuid)


# -- The simulated back end
def plug(uuid: str, name: str = "simulated", memory_bytes: int = 1 << 30) -> DeviceInfo:
    """A simulated device appears, or comes back."""
    from polyvm.compute.host import HostBackend

    base = HostBackend().devices()[0]
    info = replace(base, uuid=uuid, name=name, backend="simulated", memory_bytes=memory_bytes, memory_free=memory_bytes,
                   pci=f"ffff:00:{len(_state.simulated):02x}.0", verified_on_hardware=False)  # fmt: skip
    info = _state.simulated.get(uuid, info)
    _state.simulated[uuid] = info
    announce("added", info)
    return info


def pull(uuid: str, *, failed: bool = False) -> None:
    """A simulated device vanishes, or fails."""
    announce("failed" if failed else "removed", _state.simulated[uuid])


def open_simulated(info: DeviceInfo) -> Driver:
    """A context on a simulated device: the processor does the work."""
    from polyvm.compute.host import HostDriver

    check_present(info)
    made: Driver = HostDriver(info)
    return made
