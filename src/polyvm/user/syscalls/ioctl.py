"""ioctl: the requests whose argument is a number, or a structure without pointers in it; all others are ENOTTY.

A structure with a pointer would let the host read or write its own memory, so an unknown request never passes.
"""

from __future__ import annotations

from _struct import Struct

from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EBADF, ENOTTY, EINVAL, EROFS = 9, 25, 22, 30

# asm-generic/ioctls.h, linux/fs.h, linux/sockios.h, linux/random.h. The argument is a number, or is ignored.
NUMBERS = frozenset((
    0x5409, 0x540A, 0x540B, 0x540C, 0x540D, 0x540E,  # TCSBRK TCXONC TCFLSH TIOCEXCL TIOCNXCL TIOCSCTTY
    0x5422, 0x5425, 0x5427, 0x5428,  # TIOCNOTTY TCSBRKP TIOCSBRK TIOCCBRK
    0x5437, 0x5441, 0x5450, 0x5451,  # TIOCVHANGUP TIOCGPTPEER FIONCLEX FIOCLEX
))  # fmt: skip
# The argument points to a structure without pointers.
STRUCTS = frozenset((
    *range(0x5401, 0x5409),  # TCGETS TCSETS TCSETSW TCSETSF TCGETA TCSETA TCSETAW TCSETAF
    *range(0x540F, 0x541C),  # TIOCGPGRP TIOCSPGRP TIOCOUTQ TIOCSTI TIOCGWINSZ TIOCSWINSZ TIOCM* SOFTCAR FIONREAD
    0x5420, 0x5421, 0x5423, 0x5424, 0x5429,  # TIOCPKT FIONBIO TIOCSETD TIOCGETD TIOCGSID
    0x802C542A, 0x402C542B, 0x402C542C, 0x402C542D,  # TCGETS2 TCSETS2 TCSETSW2 TCSETSF2
    0x80045430, 0x40045431, 0x80045432, 0x40045436,  # TIOCGPTN TIOCSPTLCK TIOCGDEV TIOCSIG
    0x80045438, 0x80045439, 0x80045440,  # TIOCGPKT TIOCGPTLCK TIOCGEXCL
    0x5452, 0x5460,  # FIOASYNC FIOQSIZE
    0x80086601, 0x40086602, 0x80087601,  # FS_IOC_GETFLAGS FS_IOC_SETFLAGS FS_IOC_GETVERSION
    0x801C581F, 0x401C5820, 0xC020660B,  # FS_IOC_FSGETXATTR FS_IOC_FSSETXATTR FS_IOC_FIEMAP
    1, 2,  # FIBMAP FIGETBSZ
    0x80081272, 0x1260, 0x1268, 0x125E, 0x80081270,  # BLKGETSIZE64 BLKGETSIZE BLKSSZGET BLKROGET BLKBSZGET
    0x80045200,  # RNDGETENTCNT
    0x8901, 0x8902, 0x8903, 0x8904, 0x8905, 0x8906, 0x8907,  # FIOSETOWN SIOCSPGRP FIOGETOWN SIOCGPGRP SIOCATMARK ...
    0x8910, 0x8913, 0x8914, 0x8915, 0x8916, 0x8917, 0x8919, 0x891B, 0x891D, 0x8921, 0x8922,  # SIOCGIFNAME and on
    0x8927, 0x8933, 0x8942, 0x8943,  # SIOCGIFHWADDR SIOCGIFINDEX SIOCGIFTXQLEN SIOCSIFTXQLEN
))  # fmt: skip
# What of these changes the file itself: FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR.
CHANGING = frozenset((0x40086602, 0x401C5820))
# The argument is a descriptor, or points to a structure that begins with one.
FICLONE, FICLONERANGE = 0x40049409, 0x4020940D
SIOCGIFCONF = 0x8912
_IFCONF = Struct("<i4xQ")


def sys_ioctl(t: Thread, fd: int, request: int, argument: int, *_: int) -> int:
    """ioctl."""
    request &= 0xFFFFFFFF
    number = t.process.numbers["ioctl"]
    root = t.process.paths.root
    if root is not None and request in CHANGING and root.is_readonly(fd & 0xFFFFFFFF):
        return -EROFS
    if request in STRUCTS:
        return t.host(number, fd, request, t.pointer(argument))
    if request in NUMBERS:
        return t.host(number, fd, request, argument)
    if request == FICLONE:
        if argument & 0xFFFFFFFF in t.process.hidden:
            return -EBADF
        return t.host(number, fd, request, argument)
    if request == FICLONERANGE:
        data = t.space.read(argument, 32)
        if int.from_bytes(data[:8], "little") in t.process.hidden:
            return -EBADF
        return t.host(number, fd, request, t.place(data))
    if request == SIOCGIFCONF:
        return _interfaces(t, fd, argument)
    return -ENOTTY


def _interfaces(t: Thread, fd: int, argument: int) -> int:
    """SIOCGIFCONF: struct ifconf holds a pointer to the buffer."""
    size, buffer = _IFCONF.unpack(t.space.read(argument, 16))
    if size < 0:
        raise Refusal(EINVAL)
    where = t.place(_IFCONF.pack(size, t.pointer(buffer)))
    result = t.host(t.process.numbers["ioctl"], fd, SIOCGIFCONF, where)
    if result >= 0:
        t.space.write(argument, t.placed(where, 4))
    return result
