"""The house: who may import whom, what the API must not load, how long a module may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("radii", "contract", "service", "workers", "smoothing", "models")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Longest prefix wins. Absent: nothing of ours may be imported.
ALLOWED: dict[str, set[str]] = {
    "contract": {"contract"},
    "service": {"service", "contract"},
    "workers": {"workers", "contract", "smoothing", "models"},
    "smoothing": {"smoothing"},
    "models": {"models"},
    "models.training": {"models", "smoothing"},
    "models.evaluation": {"models", "smoothing"},
    "radii": set(PACKAGES),
}
# Libraries that must stay out of a package.
FORBIDDEN: dict[str, set[str]] = {
    "contract": {"torch", "numpy", "scipy", "redis", "rq", "fastapi"},
    "service": {"torch", "torchvision", "numpy", "scipy"},
    "smoothing": {"redis", "rq", "fastapi", "pydantic", "pydantic_settings", "structlog"},
    "models": {"redis", "rq", "fastapi"},
}
# Modules of workers that every fork or parent imports: they must not load torch.
LIGHT = (
    "service.app",
    "workers.tasks",
    "workers.process.rq.queue_worker",
    "workers.process.supervisor",
    "workers.main",
    "radii.main",
    "radii.stack",
    "radii.display",
    "radii.panels",
    "radii.commands.doctor",
    "radii.commands.health",
    "workers.process.pulse",
)
MAX_LINES = 300


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            # `from models import training` imports a module, too.
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _rule(module: str) -> set[str]:
    prefixes = [name for name in ALLOWED if module == name or module.startswith(f"{name}.")]
    return ALLOWED[max(prefixes, key=len)]


def crossings(path: Path) -> list[str]:
    """Every import of a module that its package may not make."""
    module = _dotted(path)
    package = module.split(".")[0]
    allowed = _rule(module)
    found = []
    for name in _imports(path):
        head = name.split(".")[0]
        if head in PACKAGES and head not in allowed:
            found.append(f"{module} imports {name}")
        if head in FORBIDDEN.get(package, set()):
            found.append(f"{module} imports {name}")
        runtime = package == "models" and not module.startswith(("models.training", "models.evaluation"))
        if runtime and name.startswith(("models.training", "models.evaluation")):
            found.append(f"{module} imports {name}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=_dotted)
def test_no_import_crosses_a_border(path: Path) -> None:
    """Border: service → contract ← workers → {smoothing, models}; radii → anything; nothing → radii."""
    assert crossings(path) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("service/probe.py", "import workers.tasks"),
        ("service/probe.py", "from models import bundles"),
        ("service/probe.py", "import torch"),
        ("contract/probe.py", "from smoothing import bounds"),
        ("workers/probe.py", "from radii import main"),
        ("smoothing/probe2.py", "from models.bundles import Card"),
        ("models/probe.py", "from smoothing import Gaussian"),
        ("models/probe.py", "from models import training"),
        ("models/training/probe.py", "import workers.job.shelf"),
    ],
)
def test_the_border_check_sees_a_crossing(
    module: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail."""
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(line)
    monkeypatch.setitem(crossings.__globals__, "ROOT", tmp_path)
    assert crossings(path)


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_loads_no_heavy_library(module: str) -> None:
    """The API, and every process that is forked for a job, stay small and quick."""
    code = (
        f"import sys, {module}; "
        "print(*({'torch', 'torchvision', 'scipy', 'numpy', 'openvino', 'matplotlib'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.split() == []


@pytest.mark.parametrize("path", MODULES, ids=_dotted)
def test_modules_stay_readable(path: Path) -> None:
    """No god file."""
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=_dotted)
def test_only_settings_and_the_command_line_read_the_environment(path: Path) -> None:
    """Settings are made once and passed down."""
    if path.name == "settings.py" or _dotted(path).startswith("radii"):
        return
    names = [node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    assert "environ" not in names
    assert "getenv" not in names


def test_every_task_name_resolves_to_a_function() -> None:
    """The queue names functions by dotted string; a rename must not break it unseen."""
    from importlib import import_module

    from contract.keys import TASKS

    for task in TASKS:
        module, name = task.rsplit(".", 1)
        assert callable(getattr(import_module(module), name))
