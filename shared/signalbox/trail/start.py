"""Start of a service: its settings are a line of the trail, where they differ from those of its last start."""

from urllib.parse import urlsplit

import msgspec

from signalbox.postgres.pool import Connection
from signalbox.settings import Settings
from signalbox.trail.append import NewLine, append

_LAST = "SELECT details FROM trail WHERE kind = 'settings' AND about = $1 ORDER BY line DESC LIMIT 1"


async def note_settings(connection: Connection, service: str, settings: Settings) -> bool:
    """Append the settings of a service on this host, unless they are those of the last line about it.

    Raises:
        DatabaseUnavailable: try again.
    """
    about, details = f"{service} on {settings.hostname}", shown(settings)
    last = await connection.fetchval(_LAST, about)
    if last is not None and msgspec.json.decode(last) == details:
        return False
    await append(connection, NewLine(kind="settings", who=f"service:{service}", about=about, details=details))
    return True


def shown(settings: Settings) -> dict[str, object]:
    """The settings without their secrets: no key, and no password in an address."""
    values = {name: str(getattr(settings, name)) for name in sorted(settings.__struct_fields__) if name != "key"}
    return values | {
        "trusted_proxies": [str(network) for network in settings.trusted_proxies],
        "redis_url": _without_password(settings.redis_url),
        "database_url": _without_password(settings.database_url),
    }


def _without_password(url: str) -> str:
    """An address without its password, and without its query, which may hold one, too."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{user}{place}{parts.path}" if url else ""
