"""What every test may ask for: certificates, backends and whole running consoles."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend import Backend, running_backend
from tests.live import LiveConsole
from tests.pki import CertificateSet, guide_set, modern_set

# What tests cost that ask for these, about, in seconds; of two fixtures the dearer one counts.
COSTS = {"live_console": 6.0, "page": 4.0, "console": 3.0, "lab": 1.0, "pages": 1.5}
FAILED = pytest.StashKey[bool]()
CONSOLES = pytest.StashKey[list[LiveConsole]]()


@dataclass(frozen=True)
class Pki:
    """The two sets of certificates that the tests go through, made once a run."""

    guide: CertificateSet
    modern: CertificateSet


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder: Path = tmp_path_factory.mktemp("pki")
    return Pki(guide=guide_set(folder / "guide"), modern=modern_set(folder / "modern"))


@pytest.fixture
def backend() -> Iterator[Backend]:
    with running_backend() as backend:
        yield backend


@pytest.fixture(scope="session")
def console() -> Iterator[LiveConsole]:
    """One console that tests share; each has listeners and ports of its own and stops nothing."""
    console = LiveConsole()
    try:
        yield console.start()
        console.stop()
    finally:
        console.remove()


@pytest.fixture
def live_console(request: pytest.FixtureRequest) -> Iterator[Callable[..., LiveConsole]]:
    """Makes and starts a console for this test alone; arguments are environment variables."""
    consoles = request.node.stash.setdefault(CONSOLES, [])

    def start(**environment: str) -> LiveConsole:
        console = LiveConsole(**environment)
        consoles.append(console)
        return console.start()

    yield start
    for console in consoles:
        console.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    if report.failed:
        shared = getattr(item, "funcargs", {}).get("console")
        for console in [*item.stash.get(CONSOLES, []), *([shared] if shared else [])]:
            report.sections.append((f"serve.log of {console.url}", console.log_tail()))
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers take whole files: those that take long first, so that none is left alone at the end."""
    if not hasattr(config, "workerinput"):
        return
    costs: Counter[Path] = Counter()
    for item in items:
        asked = getattr(item, "fixturenames", ())
        costs[item.path] += max((COSTS.get(name, 0.05) for name in asked), default=0.05)
    items.sort(key=lambda item: (-costs[item.path], item.path))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a golden file, or records it there."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--record-golden"):
            path.write_text(text)
        assert text == path.read_text()

    return compare
