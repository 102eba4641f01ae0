"""What every test shares: the options of the run, the conformance folder, seeds, guests, and a code cache of its own.

A suite that was not handed in is skipped with its reason, and the run ends with the list of all that was skipped.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

from tests import processes, toolchain

ROOT = Path(__file__).parent.parent

# Suite -> the archive in the conformance folder, and the folder inside it that holds the programs.
SUITES = {
    "riscv-tests": ("riscv-tests-user.tar.xz", "riscv-tests-user"),
    "testfloat": ("testfloat.tar.xz", "testfloat"),
}

COLLECTED: list[str] = []  # lines that tests want printed at the end of the run


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("polyvm")
    group.addoption("--full", action="store_true", help="run every lane at full size")
    group.addoption("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    group.addoption(
        "--bless", action="store_true", help="write golden files anew instead of comparing with them"
    )
    group.addoption("--conformance", metavar="DIR", help="folder with the archives of conformance programs")
    group.addoption("--riscv-tests", metavar="DIR", help="folder of user-mode riscv-tests, unpacked")
    group.addoption("--testfloat", metavar="DIR", help="folder of testfloat_gen programs, unpacked")


def pytest_configure(config: pytest.Config) -> None:
    # Every test's examples come from --seed, not from the clock or a database of earlier runs.
    hypothesis.settings.register_profile(
        "bounded", deadline=None, database=None, derandomize=True, print_blob=True, max_examples=100
    )
    hypothesis.settings.register_profile(
        "full", hypothesis.settings.get_profile("bounded"), max_examples=2000
    )
    hypothesis.settings.load_profile("full" if config.getoption("--full") else "bounded")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # What takes long begins first: at the end one process would wait for the other.
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    _measure_some(items)
    if not config.getoption("--full"):
        skip = pytest.mark.skip(reason="full size only: make test-full")
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(skip)


FEW, FEW_PROCESSES = 20, 6
"""Cases of one test that are all measured, and whose processes are; of more, so many."""


def _measure_some(items: list[pytest.Item]) -> None:
    """Have coverage look at some cases of a test with many: they run the same lines, two to five times slower."""
    tests: dict[object, list[pytest.Item]] = {}
    for item in items:
        tests.setdefault((item.path, getattr(item, "originalname", item.name)), []).append(item)
    for cases in tests.values():
        for place, item in enumerate(cases):
            if place not in _spread(FEW, len(cases)):
                item.add_marker(pytest.mark.unmeasured)
            elif place not in _spread(FEW_PROCESSES, len(cases)):
                item.add_marker(pytest.mark.unmeasured("processes"))


def _spread(few: int, many: int) -> set[int]:
    """So many places out of many, or all where there are no more."""
    return {many * number // few for number in range(few)} if many > few else set(range(many))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """An unmeasured test runs without the tracer, and so do its processes, which start in a fifth of the time.

    (pytest-cov's no_cover starts coverage anew after each test, which patches os._exit and os.execve once more each
    time: forks took half a minute in the end.)
    """
    marks = list(item.iter_markers("unmeasured"))
    if not marks:
        return (yield)
    tracer, kept = sys.gettrace(), {name: os.environ.pop(name) for name in processes.measuring()}
    if any(not mark.args for mark in marks):
        sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
        os.environ.update(kept)


# ---------------------------------------------------------------------------- the run's options
@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the slow lanes run at full size."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The run's seed."""
    return int(request.config.getoption("--seed"))


@pytest.fixture
def rng(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """Random numbers that depend on the run's seed and the test's name only."""
    return random.Random(f"{seed} {request.node.nodeid}")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """golden(name, text): text must equal the file golden/<name> beside the test; --bless writes it."""

    def compare(name: str, text: str) -> None:
        file = request.path.parent / "golden" / name
        if request.config.getoption("--bless"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert file.exists(), f"{file} is not there; run the test once with --bless"
        assert text == file.read_text(), (
            f"{file} differs; look, and run with --bless if the new text is right"
        )

    return compare


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """report(line): printed under "what was counted" when the run ends."""
    return _reporter(request.config)


# ---------------------------------------------------------------------------- guests
GUESTS = ("riscv64", "aarch64")
VECTORS = {"aarch64": (0x3DC00000, 0x4F000400, 0x1E622820)}  # ldr q0, [x0]; movi v0.4s, #0; fadd d0, d1, d2


@functools.cache
def runs_c(guest: str) -> bool:
    """Whether a guest has what C libraries are made of: vectors and floating point."""
    isa = import_module(f"polyvm.isa.{guest}").load()
    return all(isa.decode(word) is not None for word in VECTORS.get(guest, ()))


def require_c(guest: str, *words: int) -> None:
    """Skip where a guest cannot run C programs yet, nor the instructions of these words."""
    isa = import_module(f"polyvm.isa.{guest}").load() if words else None
    if not runs_c(guest) or (isa is not None and any(isa.decode(word) is None for word in words)):
        pytest.skip(f"{guest} has not all the instructions that C libraries are made of yet")
    warm(guest)


@functools.cache
def warm(guest: str) -> None:
    """Have a guest's interpreter in the run's code cache: what a test times is not how long that takes to compile."""
    folder = Path(os.environ["POLYVM_CACHE_DIR"])
    with toolchain.locked(folder.parent / f"{guest}.lock"):
        program = f"from polyvm.engine.executor import Engine\nEngine({guest!r}, tier='interpreter')"
        subprocess.run([sys.executable, "-c", program], check=True)


@pytest.fixture(params=GUESTS)
def guest(request: pytest.FixtureRequest) -> str:
    """Each guest that C programs run on."""
    require_c(request.param)
    return str(request.param)


# ---------------------------------------------------------------------------- where things are
def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """One temporary folder of the whole run, the same in all of its processes."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def code_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's own code cache: never the user's, shared by all processes of the run, empty when it starts."""
    folder = shared_folder(tmp_path_factory) / "code-cache"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.environ["POLYVM_CACHE_DIR"] = str(folder)
    return folder


@pytest.fixture
def cold_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A code cache that nothing was compiled into, for this test alone."""
    folder = tmp_path / "cold-cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def compiles(code_cache: Path, cold_cache: Path) -> Path:
    """A code cache for this test alone in which no unit is, but the interpreter if the run has made it already."""
    if (code_cache / "tier0").exists():
        shutil.copytree(code_cache / "tier0", cold_cache / "tier0")
    return cold_cache


@pytest.fixture(scope="session")
def riscv_tests_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the user-mode riscv-tests."""
    return _suite("riscv-tests", request.config, tmp_path_factory)


@pytest.fixture(scope="session")
def testfloat_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the testfloat_gen programs."""
    return _suite("testfloat", request.config, tmp_path_factory)


def _suite(name: str, config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    given = config.getoption(f"--{name}")
    if given:
        folder = Path(given).resolve()
        if not folder.is_dir():
            pytest.fail(f"--{name} {given}: there is no such folder")
        return folder
    archives = config.getoption("--conformance")
    if not archives:
        pytest.skip(f"{name} was not handed in: pass --{name} DIR, or --conformance DIR with its archive")
    archive, inside = SUITES[name]
    source = Path(archives).resolve() / archive
    if not source.exists():
        pytest.skip(f"{name} was not handed in: {archives} has no {archive}")
    shared = shared_folder(factory) / "conformance"
    shared.mkdir(exist_ok=True)
    done = shared / f"{name}.unpacked"
    with toolchain.locked(shared / f"{name}.lock"):
        if not done.exists():
            with tarfile.open(source) as tar:
                tar.extractall(shared, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
            done.touch()
    return shared / inside


def script(path: Path) -> ModuleType:
    """A Python file that belongs to no package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------------- lines for the end
def _reporter(config: pytest.Config) -> Callable[[str], None]:
    workeroutput = getattr(config, "workeroutput", None)

    def add(line: str) -> None:
        if workeroutput is None:
            COLLECTED.append(line)
        else:
            workeroutput.setdefault("counted", []).append(line)

    return add


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """A process of pytest-xdist ended: take over what its tests counted."""
    COLLECTED.extend(getattr(node, "workeroutput", {}).get("counted", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COLLECTED:
        terminalreporter.section("what was counted")
        for line in sorted(COLLECTED):
            terminalreporter.write_line(line)
