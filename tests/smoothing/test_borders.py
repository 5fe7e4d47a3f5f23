"""What the package may import."""

import ast
from pathlib import Path

import pytest

import smoothing

ROOT = Path(smoothing.__file__).parent
FORBIDDEN_STDLIB = {"logging", "pathlib", "io", "socket", "json", "random"}
PURE = (
    "errors.py",
    "schedule.py",
    "rounding.py",
    *(f"bounds/{path.name}" for path in (ROOT / "bounds").glob("*.py")),
)
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def imported(module: str) -> set[str]:
    """Top-level packages a module imports, anywhere in it."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("module", PURE)
def test_float_mathematics_does_not_import_torch(module: str) -> None:
    """Bounds, schedules and rounding are arithmetic, apart from the machinery that feeds it."""
    assert "torch" not in imported(module)


@pytest.mark.parametrize("module", MODULES)
def test_the_guarantee_depends_on_numerics_alone(module: str) -> None:
    """No I/O, no logging, no other package of radii."""
    packages = imported(module)
    assert not packages & {"contract", "service", "workers", "models", "radii"}
    assert not packages & FORBIDDEN_STDLIB
    assert not packages & {"fastapi", "redis", "rq", "pydantic", "torchvision"}


def test_public_names_exist() -> None:
    """``__all__`` is complete and true."""
    assert all(hasattr(smoothing, name) for name in smoothing.__all__)
    assert len(set(smoothing.__all__)) == len(smoothing.__all__)
