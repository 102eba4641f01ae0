"""What native code and Python agree on: where the fields of jobs, frames and faults stand, in bytes."""

from __future__ import annotations

from typing import Final

JOB: Final = {
    "next": 0,  # the job behind this one in the queue
    "stream": 8,
    "number": 16,  # in its stream, from 1
    "other": 24,  # a stream that must have come far enough, or 0
    "wanted": 32,  # how far
    "function": 40,
    "context": 48,
    "users": 56,  # workers that are at it
    "taken": 64,  # blocks that somebody has taken: workers add to it
    "done": 128,  # blocks that are finished
    "blocks": 192,
    "chunk": 200,  # blocks to take at once
    "grid": 208,  # three i32
    "dynamic": 220,  # bytes of dynamic shared memory
    "globals": 224,
    "ranges": 232,  # pairs of start and end, sorted
    "range_count": 240,
    "begun": 248,  # nanoseconds
    "ended": 256,
    "fault": 264,  # 0 none, 1 being written, 2 there
    "kind": 268,
    "address": 272,
    "site": 280,
    "thread": 284,  # its number in the block
    "block": 288,
    "stop": 296,  # not 0: leave
    "print": 304,  # where printf writes: a u64 of bytes used, then records
    "print_size": 312,
    "stamp": 320,  # where an event keeps when it was reached, or 0
    "args": 384,
}
ARGS_LIMIT: Final = 4096
JOB_SIZE: Final = 384 + ARGS_LIMIT

FRAME: Final = {
    "job": 0,
    "args": 8,
    "globals": 16,
    "shared": 24,
    "shared_size": 32,
    "local": 40,  # the gang's own memory: from here
    "cta": 48,  # three i32
    "gang": 60,
    "grid": 64,  # three i32
    "stack": 80,  # stop before the host's stack gets here
    "slots": 88,
    "now_and": 96, "now_or": 100, "now_count": 104,
    "last_and": 108, "last_or": 112, "last_count": 116,
    "block": 128,
    "dynamic": 136,
    "local_end": 144,  # to here
}  # fmt: skip
FRAME_SIZE: Final = 192

WORKER: Final = {"shared": 0, "stack": 8, "pool": 16, "number": 24, "locals": 40}
WORKER_SIZE: Final = 64

FAULTS: Final = {
    "memory": 1, "shared": 2, "local": 3, "trap": 4, "assert": 5, "stack": 6, "call": 7, "wrap": 8, "waits": 9,
    "jump": 10,
}  # fmt: skip
"""Kinds of faults; 0 is none."""

RECORD: Final = 288
"""Bytes of one record of printf: format's address, block, thread, bytes that follow, then arguments."""

FUNCTIONS: Final = 0xF1D0_0000_0000_0000
"""The address of device function number n is this plus n: none that memory has."""

POOL: Final = {
    "mutex": 0, "work": 64, "over": 128,  # a mutex and two condition variables, zeroed
    "head": 192, "tail": 200, "quit": 208, "sleepers": 212, "waiters": 216, "free": 224, "rouse": 232, "tell": 236,
    "epoch": 256,  # changes whenever a worker may find something to do
    "lock": 320, "unlock": 328, "wait": 336, "broadcast": 344, "timedwait": 352, "clock": 360,
    "spin": 368, "move": 376, "yield": 384,
}  # fmt: skip
"""The pool of worker threads: its queue, and the C library's functions that it calls."""
POOL_SIZE: Final = 512

STREAM: Final = {"done": 0, "submitted": 8}
STREAM_SIZE: Final = 64

CONTEXT: Final = {"fault": 0, "job": 8, "dropped": 16}
"""fault: not 0 where a kernel of the context failed; job: which. Later jobs do nothing."""
CONTEXT_SIZE: Final = 64
