"""Plan of a local run: what to run and where, read from the environment once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from signalbox.errors import SettingsError
from signalbox.postgres.address import usable
from signalbox_local.errors import LocalError
from signalbox_local.ports import HOST

#: The root of the repository; the configuration of the example is there.
ROOT = Path(__file__).resolve().parents[3]


#: Variables of the api that a local run passes on to it.
LIMITS = ("SIGNALBOX_CONNECTIONS", "SIGNALBOX_CONNECTIONS_PER_ADDRESS", "SIGNALBOX_SOCKETS_PER_CALLER")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A local run."""

    #: Folder of stores, logs and secrets. Absolute.
    data: Path
    #: Port of the api on 127.0.0.1.
    port: int
    #: Configuration of the controller.
    config: Path = ROOT / "signalbox.example.toml"
    #: Addresses of external stores; embedded ones where empty.
    database_url: str = ""
    redis_url: str = ""
    #: Name of this host; the machine's own where empty.
    hostname: str = ""
    #: Whether the embedded stores survive a power failure.
    durable: bool = True
    log_level: str = "info"
    #: Path below which a proxy serves the api, and the proxies that it believes; checked by the api.
    root_path: str = ""
    trusted_proxies: str = ""
    #: Settings of the api about connections, by their variables, where they are set; checked by the api.
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Address of the dashboard."""
        return f"http://{HOST}:{self.port}{self.root_path.rstrip('/')}"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Plan":
        """Read SIGNALBOX_PORT, SIGNALBOX_DATA, SIGNALBOX_CONFIG, DATABASE_URL and the like.

        Raises:
            LocalError: one of them makes no sense.
        """
        port = environ.get("SIGNALBOX_PORT") or "8000"
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise LocalError(f"SIGNALBOX_PORT is {port!r}; it must be a number from 1 to 65535")
        database_url = environ.get("SIGNALBOX_DATABASE_URL") or environ.get("DATABASE_URL", "")
        try:
            database_url = database_url and usable(database_url)
        except SettingsError as error:
            raise LocalError(str(error)) from error
        return cls(
            data=Path(environ.get("SIGNALBOX_DATA") or ".signalbox").absolute(),
            port=int(port),
            config=Path(environ.get("SIGNALBOX_CONFIG") or ROOT / "signalbox.example.toml").absolute(),
            database_url=database_url,
            redis_url=environ.get("SIGNALBOX_REDIS_URL") or environ.get("REDIS_URL", ""),
            hostname=environ.get("SIGNALBOX_HOSTNAME", ""),
            log_level=environ.get("SIGNALBOX_LOG_LEVEL") or "info",
            root_path=environ.get("SIGNALBOX_ROOT_PATH", ""),
            trusted_proxies=environ.get("SIGNALBOX_TRUSTED_PROXIES", ""),
            limits={name: environ[name] for name in LIMITS if environ.get(name)},
        )
