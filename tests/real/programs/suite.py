"""Numbers and their text, processes, threads, sockets, signals, files and compression, as Python sees them."""

import asyncio
import bz2
import ctypes
import decimal
import fcntl
import hashlib
import json
import lzma
import mmap
import multiprocessing
import os
import random
import resource
import select
import selectors
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

os.chdir(tempfile.mkdtemp())


def section(name):
    print("--", name, flush=True)


def square(n):
    return n * n


def main():
    section("numbers")
    print(0.1 + 0.2, 1e16, 1 / 3, float("nan"), -0.0, 2**0.5, 5e-324, 1.7976931348623157e308, round(2.675, 2))
    print(
        2**200 // 3**50,
        pow(3, 10**5, 10**9 + 7),
        -7 // 2,
        -7 % 3,
        divmod(-7.5, 2),
        (1 << 70) >> 3,
        hash(2**61),
    )
    print(
        decimal.Decimal(1) / 7,
        decimal.Decimal(2).sqrt(),
        f"{1234567.891:,.2f} {255:#x} {3.14159:.3e}",
        (0.1).hex(),
    )
    print(
        sum(random.Random(1).random() for _ in range(1000)),
        complex(1, 2) ** 3,
        struct.pack("<dfq", 1.5, 0.1, -2).hex(),
    )

    section("digests")
    data = bytes(range(256)) * 1000
    for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"):
        print(name, hashlib.new(name, data).hexdigest()[:32])
    print(
        zlib.crc32(data), zlib.adler32(data), hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 1000).hex()[:32]
    )
    for module in (zlib, bz2, lzma):
        assert module.decompress(module.compress(data)) == data
    print(len(zlib.compress(data, 9)), json.loads(json.dumps({"a": [1, 2.5, None, "\u20ac"]})))

    section("processes")
    print(
        subprocess.run(
            ["sh", "-c", "cat; echo err >&2; exit 3"], input="in\n", capture_output=True, text=True
        )
    )
    with subprocess.Popen(["sleep", "5"]) as child:
        child.terminate()
    print(child.returncode, os.waitstatus_to_exitcode(os.system("exit 4")))
    pid = os.fork()
    if not pid:
        os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)[1]))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        print(list(pool.map(square, range(5))))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(abs, [-1, -2]))

    section("threads")
    count, lock = [0], threading.Lock()

    def work():
        for _ in range(1000):
            with lock:
                count[0] += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ThreadPoolExecutor(4) as pool:
        print(count, sum(pool.map(square, range(100))))
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    print(event.wait(10), event.wait(0), threading.Barrier(1).wait())

    section("signals")
    got = []
    signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    signal.signal(signal.SIGALRM, lambda number, frame: got.append(number))
    signal.pause()
    print(got)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    os.kill(os.getpid(), signal.SIGUSR2)
    print(signal.sigwait({signal.SIGUSR2}), signal.sigtimedwait({signal.SIGUSR2}, 0.01))

    section("sockets")
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    peer, _ = server.accept()
    client.sendall(b"x" * 100000)
    client.shutdown(socket.SHUT_WR)
    print(len(b"".join(iter(lambda: peer.recv(65536), b""))))
    left, right = socket.socketpair()
    read_end, write_end = os.pipe()
    socket.send_fds(left, [b"descriptor"], [write_end])
    message, (passed,), *_ = socket.recv_fds(right, 100, 1)
    os.write(passed, b"through")
    print(message, os.read(read_end, 100))
    with selectors.DefaultSelector() as selector:
        selector.register(right, selectors.EVENT_READ, "right")
        left.send(b"!")
        print(type(selector).__name__, [(key.data, mask) for key, mask in selector.select(1)])
    poll = select.poll()
    poll.register(right, select.POLLIN)
    print(
        [mask for _, mask in poll.poll(1000)], [len(part) for part in select.select([right], [left], [], 1)]
    )

    async def talk():
        async def answer(reader, writer):
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()

        listener = await asyncio.start_unix_server(answer, "sock")
        reader, writer = await asyncio.open_unix_connection("sock")
        writer.write(b"asynchronous\n")
        line = await reader.readline()
        process = await asyncio.create_subprocess_exec("echo", "spawned", stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        writer.close()
        listener.close()
        return (
            line,
            output,
            process.returncode,
            await asyncio.gather(*(asyncio.sleep(0.01, n) for n in range(3))),
        )

    print(asyncio.run(talk()))

    section("files")
    with open("file", "w+b") as file:
        file.write(b"0123456789" * 1000)
        file.flush()
        os.posix_fallocate(file.fileno(), 0, 20000)
        with mmap.mmap(file.fileno(), 0) as mapped:
            mapped[5:8] = b"abc"
            print(len(mapped), mapped.find(b"abc"), os.pread(file.fileno(), 10, 0))
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open("copy", "wb") as copy:
            print(
                os.sendfile(copy.fileno(), file.fileno(), 0, 5000),
                os.copy_file_range(file.fileno(), copy.fileno(), 100, 0),
            )
    os.symlink("file", "link")
    os.mkdir("d")
    os.rename("copy", "d/moved")
    print(sorted((entry.name, entry.is_dir(), entry.is_symlink()) for entry in os.scandir(".")))
    print(
        [(path, sorted(names)) for path, _, names in os.walk(".")], os.path.realpath("link").endswith("/file")
    )
    os.utime("file", ns=(1, 2))
    print(os.stat("file").st_mtime_ns, os.access("file", os.W_OK), oct(os.stat("d").st_mode))
    memory = os.memfd_create("memory")
    event_fd = os.eventfd(3)
    print(os.write(memory, b"12345"), os.lseek(memory, 0, os.SEEK_END), os.eventfd_read(event_fd))
    master, slave = os.openpty()
    os.write(master, b"typed\n")
    print(os.read(slave, 100), os.isatty(slave), os.ttyname(slave).startswith("/dev/pts/"))
    try:
        os.stat("missing")
    except FileNotFoundError as error:
        print(error)

    section("libraries")
    base = sqlite3.connect(":memory:")
    base.executescript("create table t(a, b); insert into t values (1, 'x'), (2.5, null)")
    print(
        base.execute("select * from t order by a desc").fetchall(),
        base.execute("select sum(a) from t").fetchone(),
    )
    libc = ctypes.CDLL(None)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    values = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
    libc.qsort(values, 5, 4, compare(lambda a, b: a[0] - b[0]))
    libc.strtod.restype = ctypes.c_double
    print(list(values), libc.strtod(b"2.5", None), ctypes.sizeof(ctypes.c_long))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))
    print(resource.getrlimit(resource.RLIMIT_NOFILE), os.sched_yield(), time.strftime("%Y", time.gmtime(0)))
    print(
        sys.byteorder,
        sys.maxsize,
        sys.float_info.dig,
        os.uname().sysname,
        time.get_clock_info("monotonic").resolution,
    )


if __name__ == "__main__":
    main()
