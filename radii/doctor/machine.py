"""Checks of this machine: libraries, bundles, files, disk space."""

import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from contract import __version__
from radii.doctor.findings import Finding, fail, ok, skip, warn

_GIB: Final = 1024**3
_NO_TORCH: Final = "torch is not installed: this is an environment for the API, not for workers"


def look_at_software() -> Iterator[Finding]:
    """Checks Python, and the libraries that workers compute with."""
    yield ok("radii", f"{__version__} in Python {platform.python_version()} on {platform.machine()}")
    if find_spec("torch") is None:
        yield skip("torch", _NO_TORCH)
        return
    yield _torch()
    try:
        yield ok("openvino", version("openvino"))
    except PackageNotFoundError:
        x86 = platform.machine() in ("x86_64", "AMD64")
        advice = "install radii[worker] again: without it a CPU is much slower"
        yield (warn("openvino", "not installed", advice) if x86 else skip("openvino", "none for this CPU"))


def _torch() -> Finding:
    import torch

    from workers.settings import WorkerSettings

    device = WorkerSettings().device
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        return ok("torch", f"{torch.__version__}, CUDA {torch.version.cuda}, {names}")
    if device == "cuda":
        advice = "install the NVIDIA driver and give the container a GPU, or set RADII_DEVICE=auto"
        return fail("torch", f"{torch.__version__} sees no CUDA device, and RADII_DEVICE is cuda", advice)
    return ok("torch", f"{torch.__version__}, no CUDA device: models run on {os.cpu_count()} CPU cores")


def look_at_bundles() -> Iterator[Finding]:
    """Checks the files of every bundle that a worker here would serve against the digests of its card."""
    if find_spec("torch") is None:
        yield skip("bundles", _NO_TORCH)
        return
    from models.bundles import BundleError, bundle_digest, inspect_bundle, look_for_bundles
    from workers.settings import WorkerSettings

    try:
        found = look_for_bundles(WorkerSettings().models)
    except BundleError as error:
        yield fail("bundles", str(error), "name a folder in RADII_MODELS: no worker starts without it")
        return
    for fault in found.faults.values():
        yield fail("bundles", str(fault), "fix its card, or remove the folder: no worker serves it")
    if not found.folders:
        yield fail("bundles", "no bundle found", "name a folder of bundles in RADII_MODELS")
    for name, folder in sorted(found.folders.items()):
        try:
            digest = bundle_digest(inspect_bundle(folder).card)
            yield ok(f"bundle {name}", f"complete, digest {digest[:12]}")
        except BundleError as error:
            yield fail(f"bundle {name}", str(error), "copy it again, or remove its folder")


def look_at_files(data_dir: Path) -> Iterator[Finding]:
    """Checks the disk space for the embedded store, and the permissions of the keys file."""
    folder = data_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    left = shutil.disk_usage(folder).free
    room = f"{left / _GIB:.1f} GiB free for the embedded store ({data_dir})"
    advice = "free some space, or name another folder in RADII_DATA_DIR: a full disk stops every job"
    if left < _GIB // 4:
        yield fail("disk", room, advice)
    else:
        yield warn("disk", room, advice) if left < 2 * _GIB else ok("disk", room)
    keys = os.environ.get("RADII_API_KEYS_FILE")
    if keys:
        yield _keys_file(Path(keys))


def _keys_file(file: Path) -> Finding:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        file.open("rb").close()
    except OSError as error:
        advice = "make the file that RADII_API_KEYS_FILE names readable for the API"
        return fail("keys file", f"{file}: {error.strerror}", advice)
    if sys.platform == "win32" or not mode & 0o077:
        return ok("keys file", f"only its owner can read {file}")
    if mode & 0o022:
        message = f"{file} can be written by others (mode {mode:o}), who could add keys of their own"
        return fail("keys file", message, f"chmod go-w {file}")
    # Containers mount secrets like this: owned by root, for a user who cannot change the mode.
    message = f"{file} can be read by others (mode {mode:o}); it holds hashes, not keys"
    return warn("keys file", message, f"chmod 600 {file}, unless its folder is private")
