"""The house: who may import whom, what the API must not load, how long a module may be, how many stand side by side."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import smoothing
from contract.keys import TASKS
from tests.support.lanes import APART, LONG, SHARED, lane

ROOT = Path(__file__).parents[1]

# Between packages. The longest name that fits a module decides.
PACKAGES: dict[str, set[str]] = {
    "contract": set(),
    "service": {"contract"},
    "workers": {"contract", "certifier", "smoothing", "models"},
    "certifier": {"contract", "smoothing", "models"},
    "smoothing": set(),
    "models": set(),
    "models.training": {"smoothing"},
    "evaluation": {"contract", "certifier", "smoothing", "models"},
    "radii": {"contract", "service", "workers", "certifier", "smoothing", "models", "evaluation"},
}
# Between the rooms of a package, from the top down: a module imports from its own room and from lower layers.
# `a b` are two rooms that do not know each other, `a+b` is one. A module at the root of its package is a room; those that
# are not named are the lowest layer, and may import each other.
LAYERS: dict[str, tuple[str, ...]] = {
    "service": (
        "app",
        "routes",
        "resources",
        "jobs openapi verification page",
        "edge",
    ),
    "workers": ("main", "process+tasks", "job", "memory"),
    "models": (
        "training",
        "intake data",
        "clean_images",
        "images",
        "bundles backends",
        "architectures",
    ),
    "evaluation": ("papers", "run", "certificates suites", "report", "statistics"),
    "radii": ("__main__", "main", "commands", "doctor show", "memory"),
}
# Libraries that stay out of a package.
FORBIDDEN: dict[str, set[str]] = {
    "contract": {"torch", "numpy", "scipy", "redis", "rq", "fastapi"},
    "service": {"torch", "torchvision", "numpy", "scipy"},
    "certifier": {"redis", "rq", "fastapi"},
    "models": {"redis", "rq", "fastapi"},
    "evaluation": {"redis", "rq", "fastapi"},
    # The guarantee is made of numerics: no I/O, no logging, no hidden randomness.
    "smoothing": {
        *("redis", "rq", "fastapi", "pydantic", "pydantic_settings", "structlog", "torchvision"),
        *("logging", "pathlib", "io", "socket", "json", "random"),
    },
    # Bounds, schedules and rounding are arithmetic, apart from the machinery that feeds it.
    "smoothing.bounds": {"torch"},
    "smoothing.errors": {"torch"},
    "smoothing.rounding": {"torch"},
    "smoothing.regions": {"torch"},
    "smoothing.stopping.schedule": {"torch"},
}
# What the API, and every process that starts or is forked for a job, imports.
LIGHT = (
    "service.app",
    "workers.tasks",
    "workers.process.rq.queue_worker",
    "workers.process.supervisor",
    "workers.main",
    "workers.process.liveness.status_file",
    "workers.process.liveness.lifeline",
    "workers.process.child",
    "radii.main",
    "radii.stack",
    "radii.client",
    "radii.show.certificate",
    "radii.show.tables",
    "radii.commands.doctor",
    "radii.commands.health",
)
HEAVY = {"torch", "torchvision", "scipy", "numpy", "openvino", "matplotlib", "smoothing", "models"}
MAX_LINES = 300
MAX_MODULES = 15


def source_files(root: Path) -> list[Path]:
    """Every module of the packages."""
    packages = {name.split(".")[0] for name in PACKAGES}
    return sorted(path for package in packages for path in (root / package).rglob("*.py"))


def dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


class Imports:
    """What every module imports: of ours by the module's full name, of libraries by their first name."""

    def __init__(self, root: Path) -> None:
        self.paths = {dotted(path, root): path for path in source_files(root)}
        self.rooms = {name for name, path in self.paths.items() if path.name == "__init__.py"}
        self.of = {name: set(self._imports(path)) for name, path in self.paths.items()}

    def _imports(self, path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (self._known(alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are absolute"
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"  # `from models import training` imports a module
                    yield self._known(
                        name if name in self.paths or node.module in PACKAGES else node.module or ""
                    )

    @staticmethod
    def _known(name: str) -> str:
        return name if name.split(".")[0] in PACKAGES else name.split(".")[0]

    def room(self, module: str) -> str:
        """The folder below the package that a module lies in, or the module itself."""
        return ".".join(module.split(".")[:2])

    def of_ours(self) -> Iterator[tuple[str, str]]:
        """Pairs of modules of ours: who imports, and what."""
        for module, imported in self.of.items():
            yield from ((module, other) for other in imported if other.split(".")[0] in PACKAGES)


@pytest.fixture(scope="module")
def imports() -> Imports:
    return Imports(ROOT)


def longest(module: str, names: Iterable[str]) -> str:
    """The longest of the names that holds a module."""
    return max((name for name in names if module == name or module.startswith(f"{name}.")), key=len)


def layer(room: str) -> tuple[int, str]:
    """How far down a room lies, and the name of what it is one with."""
    package, _, name = room.partition(".")
    for depth, row in enumerate(LAYERS[package]):
        for joined in row.split():
            if name in joined.split("+"):
                return depth, joined
    return len(LAYERS[package]), ""


def may_import(imports: Imports, module: str, other: str) -> bool:
    package, target = module.split(".")[0], other.split(".")[0]
    if package != target:
        return target in PACKAGES[longest(module, PACKAGES)]
    if package not in LAYERS:
        return True
    depth, room = layer(imports.room(module))
    below, joined = layer(imports.room(other))
    return room == joined if depth == below else depth < below


def crossings(imports: Imports) -> set[tuple[str, str]]:
    """Every import that no rule allows."""
    found = {pair for pair in imports.of_ours() if not may_import(imports, *pair)}
    for module, imported in imports.of.items():
        for prefix, libraries in FORBIDDEN.items():
            if module == prefix or module.startswith(f"{prefix}."):
                found |= {(module, name) for name in imported & libraries}
    return found


def circles(imports: Imports) -> list[set[str]]:
    """Sets of modules that import each other in a circle."""
    edges: dict[str, set[str]] = {name: set() for name in imports.of}
    for name, other in imports.of_ours():
        edges[name].add(other if other in imports.paths else other.rpartition(".")[0])
    reach = {name: set(others) for name, others in edges.items()}
    for middle in edges:
        for name in edges:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    circles = []
    for name in edges:
        circle = {other for other in reach[name] if name in reach[other]}
        if circle and circle not in circles:
            circles.append(circle)
    return circles


def test_no_import_crosses_a_border(imports: Imports) -> None:
    """Between packages: service → contract ← workers → certifier → {smoothing, models}; nothing imports radii.

    Between rooms: only down.
    """
    assert crossings(imports) == set()


def test_the_rooms_of_the_rules_are_there() -> None:
    """A room that was renamed would be taken for a module of the lowest layer."""
    for package, layers in LAYERS.items():
        for name in " ".join(layers).replace("+", " ").split():
            assert (ROOT / package / name).is_dir() or (ROOT / package / f"{name}.py").is_file(), name


def test_no_modules_import_each_other_in_a_circle(imports: Imports) -> None:
    assert circles(imports) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("service/probe.py", "import workers.tasks"),
        ("service/probe.py", "from models import bundles"),
        ("service/probe.py", "import torch.nn"),
        ("contract/probe.py", "from smoothing import bounds"),
        ("workers/probe.py", "from radii import main"),
        ("smoothing/probe2.py", "from models.bundles import Card"),
        ("smoothing/probe2.py", "import json"),
        ("smoothing/bounds/probe.py", "import torch"),
        ("models/probe.py", "from smoothing import Gaussian"),
        ("models/probe.py", "from models import training"),
        ("models/training/probe.py", "import workers.job.pipeline"),
        ("certifier/probe.py", "import redis"),
        ("certifier/probe.py", "from workers.job import pipeline"),
        ("evaluation/probe.py", "from service.settings import ServiceSettings"),
        ("service/edge/probe.py", "from service.jobs import queue"),
        ("service/jobs/probe.py", "from service import resources"),
        ("service/openapi/probe.py", "from service.jobs.queue import Queue"),
        ("service/probe.py", "import service.edge.auth"),
        ("workers/memory/probe.py", "from workers.job.pipeline import Pipeline"),
        ("workers/job/probe.py", "def late():\n    from workers.process import engine"),
    ],
)
def test_the_border_check_sees_a_crossing(module: str, line: str, tmp_path: Path) -> None:
    """The check above can fail."""
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert crossings(Imports(tmp_path))


def test_the_circle_check_sees_a_circle(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for name, other in {"one": "two", "two": "three", "three": "one", "four": "one"}.items():
        (tmp_path / "models" / f"{name}.py").write_text(f"import models.{other}")
    assert circles(Imports(tmp_path)) == [{"models.one", "models.two", "models.three"}]


def test_importing_light_modules_loads_no_heavy_library() -> None:
    """The API, and every process that is forked for a job, stay small and quick."""
    code = (
        "import sys\n"
        "from importlib import import_module\n"
        f"for module in {LIGHT}:\n"
        "    import_module(module)\n"
        f"    found = {HEAVY} & set(sys.modules)\n"
        "    assert not found, f'{module} loads {found}'\n"
        "    if module == 'service.app':\n"
        "        assert not {'workers', 'radii'} & set(sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr


def test_modules_stay_readable(imports: Imports) -> None:
    """No god file."""
    long = {name for name, path in imports.paths.items() if len(path.read_text().splitlines()) > MAX_LINES}
    assert long == set()


def test_folders_stay_readable() -> None:
    """No shelf of fifty files."""
    folders = {path.parent for path in source_files(ROOT)}
    modules = {
        folder.relative_to(ROOT).as_posix(): len(
            [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        )
        for folder in folders
    }
    assert {folder for folder, number in modules.items() if number > MAX_MODULES} == set()


def test_only_settings_and_the_command_line_read_the_environment(imports: Imports) -> None:
    """Settings are made once and passed down."""
    readers = set()
    for module, path in imports.paths.items():
        if path.name == "settings.py" or module.startswith("radii"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                readers.add(module)
    assert readers == set()


def test_every_task_name_resolves_to_a_function() -> None:
    """The queue names functions by dotted string; a rename must not break it unseen."""
    for task in TASKS:
        module, name = task.rsplit(".", 1)
        assert callable(getattr(import_module(module), name))


def test_public_names_of_smoothing_exist() -> None:
    """``__all__`` is complete and true."""
    assert all(hasattr(smoothing, name) for name in smoothing.__all__)
    assert len(set(smoothing.__all__)) == len(smoothing.__all__)


def test_no_test_module_imports_another() -> None:
    """What they share lies beside them or in `tests/support`."""
    importing = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
                last = (node.module or "").rpartition(".")[2]
                if last.startswith("test_"):
                    importing.add(path.name)
    assert importing == set()


def test_lanes_name_tests_that_are_there() -> None:
    """A module that was moved would leave its lane unseen."""
    assert all((ROOT / path).exists() for path in (*SHARED, *APART))
    assert set(LONG) <= {*SHARED.values(), *(lane for lane in LONG if (ROOT / lane).is_file())}


def test_what_needs_the_shared_stack_is_in_its_lane() -> None:
    """Elsewhere each process would start a stack of its own."""
    for path in (ROOT / "tests" / "end_to_end").glob("test_*.py"):
        asks = "running: Service" in path.read_text()
        assert asks == (lane(path.relative_to(ROOT).as_posix()) == "stack"), path.name
