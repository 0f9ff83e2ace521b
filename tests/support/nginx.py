"""A real nginx, in a folder of its own, on loopback; TLS by a certificate that was made for the test."""

import asyncio
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from signalbox_local.plan import ROOT
from signalbox_local.ports import free_port
from support.eventually import HANGS, eventually
from support.requirement import missing

#: The example that people copy.
EXAMPLE = ROOT / "deploy" / "proxy" / "nginx.conf"

#: One process, which ends with its pid; its files stay in its folder.
_MAIN = """daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    {paths}
    {sites}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    port: int
    #: Of the one that signs for `localhost`.
    certificate: Path

    @property
    def url(self) -> str:
        """Where the example serves Signalbox."""
        return f"https://localhost:{self.port}/signalbox"

    def trust(self) -> ssl.SSLContext:
        """TLS for programs."""
        return ssl.create_default_context(cafile=str(self.certificate))


@asynccontextmanager
async def an_nginx(folder: Path, api_url: str, *, changes: dict[str, str] | None = None) -> AsyncIterator[Nginx]:
    """Nginx with the example, in front of this api; `changes` are made to the example's lines."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        missing("no nginx, so nothing stands before the api; apt-get install nginx-light brings it")
    certificate, key = await _certificate(folder)
    port = free_port()
    replaced = {
        "server 127.0.0.1:8000;": f"server {api_url.removeprefix('http://')};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/ops.example.com.pem": str(certificate),
        "/etc/ssl/ops.example.com.key": str(key),
        "server_name ops.example.com;": "server_name localhost;",
    }
    _write_configuration(folder, replaced | (changes or {}))
    process = await asyncio.create_subprocess_exec(*(program, "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"))
    try:
        await _listening(port, process)
        yield Nginx(port, certificate)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), HANGS)


async def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody else trusts, and its key."""
    certificate, key = folder / "localhost.pem", folder / "localhost.key"
    if shutil.which("openssl") is None:
        missing("no openssl, so there is no certificate; apt-get install openssl brings it")
    process = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), HANGS)
    assert process.returncode == 0, errors.decode()
    return certificate, key


def _write_configuration(folder: Path, changes: dict[str, str]) -> None:
    site = EXAMPLE.read_text(encoding="utf-8")
    for before, after in changes.items():
        assert before in site, f"the example has no {before!r} any more"
        site = site.replace(before, after)
    paths = " ".join(f"{name}_temp_path {name};" for name in _TEMPORARY)
    (folder / "nginx.conf").write_text(_MAIN.format(paths=paths, sites=site), encoding="utf-8")


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    async def look() -> bool:
        if process.returncode is not None:
            raise RuntimeError("nginx ended, and has said why on standard error")
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    await eventually(look, "nginx listens")
