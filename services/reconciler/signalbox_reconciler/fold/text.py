"""Text that PostgreSQL can store."""

_NUL = b"\\u0000"
_REPLACEMENT = b"\\ufffd"


def without_nul(data: bytes) -> bytes:
    """JSON with NUL, which PostgreSQL cannot store, replaced by U+FFFD."""
    return data.replace(_NUL, _REPLACEMENT) if _NUL in data else data
