"""The modules of the web page have types, which TypeScript reads in their comments."""

import json
from pathlib import Path

import service
from tests.clients.generating import run

PAGE = Path(service.__file__).parent / "page"


def test_modules_keep_their_types(folder: Path) -> None:
    """Under the strictest settings."""
    options = {
        "allowJs": True,
        "checkJs": True,
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "noEmit": True,
        "target": "ES2022",
        "module": "ESNext",
        "moduleResolution": "bundler",
        "lib": ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
        "types": [],
    }
    project = {"compilerOptions": options, "files": [str(PAGE / "main.js"), str(PAGE / "types.d.ts")]}
    (folder / "tsconfig.json").write_text(json.dumps(project))
    assert run(["tsc", "-p", "."], folder) == ""
