"""Regions: the flow graph that is reachable from a hot guest address, loops and callees inside.

Works on a snapshot of guest code and the specification alone, so that it runs in a worker process. Nothing here
knows LLVM or a particular guest: what an instruction does to control is read off its trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from polyvm.engine import settled
from polyvm.engine.layout import BARRED, MET
from polyvm.ir.golden import fold_numbers
from polyvm.ir.ops import FP_MODE, OPS
from polyvm.ir.trace import Trace, walk
from polyvm.ir.values import Val
from polyvm.isa.spec import Decoded, Isa

MASK = (1 << 64) - 1
Slot = tuple[str, int]
Fetch = Callable[[int, int], bytes]
"""Code at (address, length): as many bytes as the guest may execute there."""
Ran = Callable[[int], int]
"""Whether the instruction at an address has been executed before, UNMET or MET; or BARRED: a region must not go on."""

Extent = Callable[[int], tuple[int, int]]
"""Of the function that an address is in: where it begins, and the address behind it."""

MAX_INSNS, ROOM = 1500, 100
"""Instructions of a region's own function: so many, and so many more for each address that it is to be entered at."""
MAX_CALLEE, MAX_CALLEES, MAX_COLD = 250, 900, 300
"""Instructions of a function that is taken along into its callers' regions, of all of them in one, and how many there
may be before only what is called often is taken along."""
MAX_RETURN_SITES = 40
MAX_HEADS = 16
"""Loops that are entries because they are loops."""

Observed = dict[int, list[int]]
"""Dynamic jump -> targets it was seen to go to, the commonest first."""
Guess = Callable[[int], Sequence[int]]
"""Where a dynamic jump may go that nobody saw."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An instruction at an address."""

    pc: int
    decoded: Decoded
    trace: Trace

    @property
    def next_pc(self) -> int:
        """The address behind it."""
        return self.pc + self.decoded.insn.size


@dataclass(slots=True)
class Flow:
    """What an instruction does to control.

    target: where it jumps when that is known. seen: where a dynamic jump was seen to go. conditional: it may also go
    on. dynamic: it jumps somewhere only known at run time. leaves: it ends in a trap, a system call or a flush.
    call: it writes the address behind it to a link register. returns: it jumps to a link register.
    since: where the instructions begin that make the target known, when that takes more than this one.
    """

    target: int | None = None
    seen: tuple[int, ...] = ()
    conditional: bool = False
    dynamic: bool = False
    leaves: bool = False
    call: bool = False
    returns: bool = False
    since: int | None = None

    @property
    def ends(self) -> bool:
        """Whether a block ends here."""
        return self.target is not None or self.dynamic or self.leaves


@dataclass(slots=True)
class Block:
    """Straight code: its instructions, and where control goes inside the region after the last."""

    start: int
    insns: list[Placed]
    flow: Flow
    successors: list[int] = field(default_factory=list)

    @property
    def onward(self) -> list[int]:
        """Where control is known to go on, inside the region or not: to its target, and to what is behind it."""
        places = [] if self.flow.target is None else [self.flow.target]
        if self.flow.conditional or not self.flow.ends:
            places.append(self.insns[-1].next_pc)
        return places


@dataclass(slots=True)
class Region:
    """The blocks by address, the addresses where it may be entered, and the return sites of its dynamic jumps."""

    entry: int
    entries: list[int]
    blocks: dict[int, Block]
    returns: dict[int, list[int]]
    """Block start -> places in the region that its final return may lead to."""
    unmet: frozenset[int] = frozenset()
    """Places that it might go to, and that were left out because nothing had ever gone there."""
    own: frozenset[int] = frozenset()
    """Blocks of the function that it was made for; the others are of what that calls."""
    hot: frozenset[int] = frozenset()
    """Blocks whose beginning was found hot."""

    @property
    def insn_count(self) -> int:
        """Instructions in all blocks."""
        return sum(len(block.insns) for block in self.blocks.values())

    def spans(self, starts: Iterable[int]) -> list[tuple[int, int]]:
        """(address, size) of the code of some of its blocks, adjoining ones together."""
        found: list[list[int]] = []
        for start in sorted(starts):
            end = self.blocks[start].insns[-1].next_pc
            if found and found[-1][1] >= start:
                found[-1][1] = max(end, found[-1][1])
            else:
                found.append([start, end])
        return [(start, end - start) for start, end in found]


Constants = dict[Slot, tuple[int, int]]
"""Registers with a known value, and the address of the first instruction that it comes from."""


def static_value(op: Val, fields: dict[str, int], pc: int, known: Constants | None = None) -> int | None:
    """The value of an op that depends on nothing but the place, the fields and known registers, else None."""
    return _static(op, fields, pc, known, {})


def _static(
    op: Val, fields: dict[str, int], pc: int, known: Constants | None, found: dict[Val, int | None]
) -> int | None:
    if op.op == "const":
        return op.attr  # type: ignore[return-value]  # a const's attr is its number
    if op.op == "field":
        return fields[op.attr]  # type: ignore[index]  # a field's attr is its name
    if op.op == "pc":
        return pc
    if known and op.op in ("get", "getx"):
        slot = slot_of(op, fields)
        return known[slot][0] if slot in known else None
    if not OPS[op.op].pure:
        return None
    if op not in found:
        args = []
        for arg in op.args:
            value = _static(arg, fields, pc, known, found)
            if value is None:
                break
            args.append(value)
        found[op] = fold_numbers(op, args) if len(args) == len(op.args) else None
    return found[op]


def slot_of(op: Val, fields: dict[str, int]) -> Slot | None:
    """The register slot that a register op names."""
    if op.op in ("get", "set"):
        return op.attr  # type: ignore[return-value]  # a slot
    if op.op in ("getx", "setx"):
        number = static_value(op.args[0], fields, 0)
        return None if number is None else (op.attr, number)  # type: ignore[return-value]  # (file, index)
    return None


def written(placed: Placed) -> set[Slot]:
    """Registers that an instruction may write."""
    fields = placed.decoded.fields
    slots = {slot_of(op, fields) for op in walk(placed.trace.ops) if op.op in ("set", "setx")}
    return {slot for slot in slots if slot is not None}


def learn(isa: Isa, placed: Placed, known: Constants) -> None:
    """Follow an instruction: which registers have known values behind it."""
    fields, pc = placed.decoded.fields, placed.pc
    after: dict[Slot, tuple[int, int] | None] = {}
    for op in walk(placed.trace.ops):
        slot = slot_of(op, fields) if op.op in ("set", "setx") else None
        if slot is None:
            continue
        value = static_value(op.args[-1], fields, pc, known)
        sources = [known[s][1] for s in _registers(op.args[-1], fields) if s in known]
        after[slot] = None if value is None or slot in after else (value, min([pc, *sources]))
    for op in placed.trace.ops:
        if op.op == "if":  # what is written on one of two ways only
            body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
            for inner in walk(body):
                slot = slot_of(inner, fields) if inner.op in ("set", "setx") else None
                if slot is not None:
                    after[slot] = None
    for slot, fact in after.items():
        file = isa.files.get(slot[0])
        if fact is None or (file is not None and file.zero == slot[1]):
            known.pop(slot, None)
        else:
            known[slot] = fact


def _registers(op: Val, fields: dict[str, int]) -> Iterable[Slot]:
    for value in inputs(op):
        slot = slot_of(value, fields) if value.op in ("get", "getx") else None
        if slot is not None:
            yield slot


def flow_of(isa: Isa, placed: Placed, known: Constants | None = None) -> Flow:
    """Read an instruction's control flow off its trace."""
    flow = Flow()
    known = known or {}
    fields, pc = placed.decoded.fields, placed.pc
    for op in placed.trace.ops:
        if op.op == "if":
            body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
            for inner in walk(body):
                if inner.op == "jump":
                    flow.conditional = True
                    _jump(flow, inner, placed, isa, known)
        elif op.op == "jump":
            _jump(flow, op, placed, isa, known)
        elif op.op in ("trap", "syscall", "reshape", "flush") or sets_round(op):
            flow.leaves = True
        elif op.op in ("set", "setx"):
            slot = slot_of(op, fields)
            if slot in isa.links and static_value(op.args[-1], fields, pc) == placed.next_pc:
                flow.call = True
    if not flow.ends:
        flow.call = False
    if flow.call:
        flow.returns = False
    return flow


def sets_round(op: Val) -> bool:
    """Whether an op may change the rounding mode, which compiled code takes for constant: a region ends there."""
    if op.op == "if":
        return any(sets_round(inner) for inner in walk(op.attr))  # type: ignore[arg-type]  # an if's attr is its body
    return op.op == "set" and op.attr == FP_MODE


def _jump(flow: Flow, op: Val, placed: Placed, isa: Isa, known: Constants) -> None:
    fields, pc = placed.decoded.fields, placed.pc
    target = static_value(op.args[0], fields, pc, known)
    if target is not None:
        flow.target = target & MASK
        sources = [known[s][1] for s in _registers(op.args[0], fields) if s in known]
        flow.since = min(sources, default=None)
        return
    flow.dynamic = True
    flow.returns = any(slot_of(value, fields) in isa.links for value in inputs(op.args[0]))


def inputs(op: Val) -> Iterable[Val]:
    """A value and all that it is computed from, each once: an iteration that is unrolled uses its values many times."""
    found, waiting = {op}, [op]
    while waiting:
        value = waiting.pop()
        yield value
        new = [arg for arg in value.args if arg not in found]
        found.update(new)
        waiting += dict.fromkeys(new)


def discover(
    isa: Isa,
    fetch: Fetch,
    entry: int,
    observed: Observed | None = None,
    limit: int = MAX_INSNS,
    callees: int = MAX_CALLEES,
    cold: int = MAX_COLD,
    entries: Iterable[int] = (),
    ran: Ran | None = None,
    hot: Iterable[int] = (),
    extent: Extent | None = None,
    guess: Guess | None = None,
    heads: int = MAX_HEADS,
) -> Region | None:
    """The region of a hot address, or None when not even one instruction can be decoded there.

    limit, callees: instructions of its own, and of all that it calls. cold: of these, before only what is called often
    is taken along. entries: other addresses at which it is to be entered, as far as it goes there. ran: what was never
    executed is left out, at the price of an exit where somebody goes there after all. hot: places that were found hot.
    extent: of functions, where that is known: then what jumps into another one leaves. guess: asked about jumps that
    were not observed. heads: loops of its own that are entries.
    """
    search = _Search(isa, fetch, observed or {}, ran, frozenset(hot), extent, guess)
    roots = [entry, *entries]
    # The function first, whole: a region without part of a loop is of less use than one without a callee.
    own, waiting = search.body(roots, limit + ROOM * len(roots))
    search.take(own)
    room, spare = callees, min(callees, cold)
    while waiting:
        # What is called often comes first, whoever calls it, then what is called here; callees of callees come last.
        callee = waiting.pop(next((n for n, callee in enumerate(waiting) if callee in search.often), 0))
        most = min(MAX_CALLEE, room if callee in search.often else spare)
        if callee in search.placed or most <= 0:
            continue
        body, deeper = search.body([callee], most + 1)
        if len(body.placed) <= most:
            search.take(body)
            room, spare = room - len(body.placed), spare - len(body.placed)
            waiting += deeper
    placed, flows, leaders, calls = search.placed, search.flows, search.leaders | set(roots), search.calls
    unmet = search.unmet
    if entry not in placed:
        return None
    for pc, flow in flows.items():
        if flow.since is not None and any(flow.since < leader <= pc for leader in leaders):
            # Somebody may jump in between: likely, but not known.
            flow.seen, flow.target, flow.dynamic = (flow.target,), None, True  # type: ignore[assignment]  # it has one
    blocks = _blocks(placed, flows, leaders)
    returns = _returns(blocks, calls)
    found = [entry, *(place for place in dict.fromkeys(entries) if place in blocks and place != entry)]
    answered = {site for sites in returns.values() for site in sites}
    for block in blocks.values():
        last = block.insns[-1]
        # A callee that is cut, or that goes on elsewhere, is left too: its return comes from outside.
        outside = block.flow.call and (block.flow.dynamic or last.next_pc not in answered)
        if (outside or block.flow.leaves) and last.next_pc in blocks and last.next_pc not in found:
            found.append(last.next_pc)
        # Past so many, a return leaves the region and comes back to it.
        sites = returns.get(block.start, [])
        found.extend(site for site in sites[MAX_RETURN_SITES:] if site not in found)
        del sites[MAX_RETURN_SITES:]
        block.successors = _successors(block, blocks, returns)
    inside = _reachable(blocks, found)
    mine = frozenset(inside & own.placed.keys())
    busy = frozenset({entry, *entries, *search.hot} & blocks.keys())
    region = Region(entry, found, inside, returns, frozenset(unmet - blocks.keys()), mine, busy)
    # Where tier 0 may be going around when the region arrives, or when it was left in an inner loop.
    loops = sorted(loop_heads(region) & mine - set(found))
    found.extend(loops[:heads])
    return region


def in_order(region: Region) -> dict[int, int]:
    """Blocks by their place in an order where only a retreating edge leads to the block itself or to an earlier one."""
    done: list[int] = []
    seen: set[int] = set()
    for root in region.entries:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(region.blocks[root].successors))]
        while stack:
            start, successors = stack[-1]
            for successor in successors:
                if successor not in seen:
                    seen.add(successor)
                    stack.append((successor, iter(region.blocks[successor].successors)))
                    break
            else:
                done.append(start)
                stack.pop()
    return {start: place for place, start in enumerate(reversed(done))}


def loop_heads(region: Region) -> set[int]:
    """Blocks that a retreating edge leads to: every cycle goes through one."""
    order = in_order(region)
    return {s for start in order for s in region.blocks[start].successors if order[s] <= order[start]}


class _Body:
    """What a search found of one function: instructions, what they do to control, and where others begin."""

    def __init__(self) -> None:
        self.placed: dict[int, Placed] = {}
        self.flows: dict[int, Flow] = {}
        self.leaders: set[int] = set()
        self.calls: dict[int, tuple[int, ...]] = {}  # pc of a call -> callees
        self.unmet: set[int] = set()
        self.spans: list[tuple[int, int]] = []  # that it stays in; anywhere when there are none
        self.contexts: dict[int, int | None] = {}  # that places are taken to be reached in (Isa.in_context)


class _Search(_Body):
    """Follows control through guest code; what was taken is not looked at again."""

    def __init__(
        self,
        isa: Isa,
        fetch: Fetch,
        observed: Observed,
        ran: Ran | None,
        hot: frozenset[int],
        extent: Extent | None,
        guess: Guess | None,
    ) -> None:
        super().__init__()
        self.extent = extent
        self.guess = guess
        self.hot = hot
        self.often = set(hot)
        """What is called often: it was found hot, or the place that it returns to was."""
        self.isa = isa
        self.fetch = fetch
        self.observed = observed
        self.ran = ran

    def take(self, body: _Body) -> None:
        """Make a function part of the region."""
        self.placed |= body.placed
        self.flows |= body.flows
        self.leaders |= body.leaders
        self.calls |= body.calls
        for pc, callees in body.calls.items():
            if body.placed[pc].next_pc in self.hot:
                self.often.update(callees)
        self.unmet |= body.unmet

    def body(self, roots: Iterable[int], limit: int) -> tuple[_Body, list[int]]:
        """A function from its entries on, up to so many instructions, and what it calls in order."""
        found = _Body()
        callees: dict[int, None] = {}
        work = list(roots)[::-1]
        found.leaders.update(work)
        if self.extent is not None:
            found.spans = [self.extent(root) for root in work]
        while work:
            self._walk(work.pop(), limit, found, work, callees)
        return found, list(callees)

    def _walk(self, pc: int, limit: int, found: _Body, work: list[int], callees: dict[int, None]) -> None:
        known: Constants = {}
        if pc not in found.contexts:
            found.contexts[pc] = self.isa.context_before(self.fetch, pc)
        context = found.contexts[pc]
        while pc not in found.placed and pc not in self.placed and len(found.placed) < limit:
            if self.ran is not None and self.ran(pc) == BARRED:
                found.unmet.add(pc)
                return
            item = placed_at(self.isa, self.fetch, pc, context)
            if item is None:
                return
            context = self.isa.context_behind(item.decoded, context)
            found.placed[pc] = item
            flow = found.flows[pc] = flow_of(self.isa, item, known)
            learn(self.isa, item, known)
            if flow.dynamic and not flow.returns:
                seen = self.observed.get(pc) or (self.guess(pc) if self.guess is not None else ())
                flow.seen = tuple(seen)
            if not flow.ends:
                pc = item.next_pc
                continue
            for target, callee in reversed(_followed(item, flow)):
                if self.ran is not None and self.ran(target) != MET:
                    found.unmet.add(target)
                    continue
                if not callee and found.spans and not any(low <= target < high for low, high in found.spans):
                    continue
                found.leaders.add(target)
                found.contexts.setdefault(target, context)
                if callee:
                    callees[target] = None
                else:
                    work.append(target)
            if flow.call:
                found.calls[pc] = flow.seen if flow.target is None else (flow.target,)
            return


def placed_at(isa: Isa, fetch: Fetch, pc: int, context: int | None = None) -> Placed | None:
    """The instruction at an address, in a context, where there is one that may be executed."""
    smallest, largest = min(isa.sizes), max(isa.sizes)
    raw = fetch(pc, largest)
    if len(raw) < smallest:
        return None
    decoded = isa.decode(int.from_bytes(raw, "little"))
    if decoded is None or decoded.insn.size > len(raw):
        return None
    decoded = isa.in_context(decoded, context)
    return Placed(pc, decoded, settled.trace(decoded, isa.given))


def _followed(item: Placed, flow: Flow) -> list[tuple[int, bool]]:
    """Where the search goes on after an instruction that ends a block, and whether that can wait: a callee."""
    places = []
    if flow.conditional or flow.call or flow.leaves:
        places.append((item.next_pc, False))
    if flow.target is not None:
        places.append((flow.target, flow.call))
    places.extend((target, flow.call) for target in flow.seen)
    return places


def _blocks(placed: dict[int, Placed], flows: dict[int, Flow], leaders: set[int]) -> dict[int, Block]:
    blocks: dict[int, Block] = {}
    for start in sorted(leaders):
        insns: list[Placed] = []
        pc = start
        while pc in placed:
            insns.append(placed[pc])
            pc = placed[pc].next_pc
            if flows[insns[-1].pc].ends or pc in leaders:
                break
        if insns:
            blocks[start] = Block(start, insns, flows[insns[-1].pc])
    return blocks


def _returns(blocks: dict[int, Block], calls: dict[int, tuple[int, ...]]) -> dict[int, list[int]]:
    sites: dict[int, list[int]] = {}
    for block in blocks.values():
        last = block.insns[-1]
        for callee in calls.get(last.pc, ()):
            if callee in blocks and last.next_pc in blocks:
                sites.setdefault(callee, []).append(last.next_pc)
    found: dict[int, list[int]] = {}
    for callee, places in sites.items():
        for start in _function(blocks, callee):
            if blocks[start].flow.returns:
                known = found.setdefault(start, [])
                known.extend(p for p in places if p not in known)
    return found


def _function(blocks: dict[int, Block], entry: int) -> set[int]:
    seen, work = set(), [entry]
    while work:
        start = work.pop()
        if start in seen or start not in blocks:
            continue
        seen.add(start)
        block = blocks[start]
        last, flow = block.insns[-1], block.flow
        if flow.call or flow.conditional or flow.leaves or not flow.ends:
            work.append(last.next_pc)
        if not flow.call:
            work.extend(flow.seen if flow.target is None else (flow.target,))
    return seen


def _successors(block: Block, blocks: dict[int, Block], returns: dict[int, list[int]]) -> list[int]:
    places = returns.get(block.start, ()) if block.flow.returns else block.flow.seen
    return [p for p in dict.fromkeys([*places, *block.onward]) if p in blocks]


def _reachable(blocks: dict[int, Block], entries: list[int]) -> dict[int, Block]:
    seen: set[int] = set()
    work = list(entries)
    while work:
        start = work.pop()
        if start not in seen:
            seen.add(start)
            work.extend(blocks[start].successors)
    return {start: block for start, block in blocks.items() if start in seen}
