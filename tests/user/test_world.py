"""Stopping the world, with threads that only pretend to run guest code."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from polyvm.user.world import World


def guest(world: World, native: bool = True) -> Any:
    """What the world sees of the calling thread."""
    stops: list[None] = []
    cpu = SimpleNamespace(stop=lambda: stops.append(None))
    thread = SimpleNamespace(native=native, ident=threading.get_ident(), cpu=cpu, stops=stops)
    world.threads.append(thread)
    return thread


def test_threads_that_are_called_back_from_native_code_stop_the_world_in_turn() -> None:
    """As when two of them flush code at once: none may wait for the other to come out."""
    world, start = World(), threading.Barrier(4)
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        me = guest(world)
        start.wait()
        for _ in range(200):
            with world, world:  # re-entrant
                inside.append(me.ident)
                others = [t for t in world.threads if t is not me and t.native]
                most.append(len(set(inside)) + len(others))
                inside.remove(me.ident)
            assert me.native
            if me.stops:  # as native code does
                me.native = False
                me.stops.clear()
                world.wait()
                me.native = True
        me.native = False

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert set(most) == {1}


def test_nobody_else_is_in_native_code_while_it_is_stopped() -> None:
    world, seen = World(), []
    ready, done = threading.Event(), threading.Event()

    def runs() -> None:
        me = guest(world)
        ready.set()
        while not done.is_set():
            if me.stops:
                me.native = False
                me.stops.clear()
                world.wait()
                me.native = True
            time.sleep(0.0001)
        me.native = False

    other = threading.Thread(target=runs)
    other.start()
    ready.wait()
    guest(world, native=False)
    for _ in range(50):
        with world:
            seen.append(world.threads[0].native)
    done.set()
    other.join(30)
    assert seen == [False] * 50
    assert not world.closed
