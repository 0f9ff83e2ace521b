"""Text that PostgreSQL takes."""

_NUL = b"\\u0000"
_REPLACEMENT = b"\\ufffd"


def without_nul(data: bytes) -> bytes:
    """JSON in which the one character that PostgreSQL cannot store is replaced by the sign for such a one."""
    return data.replace(_NUL, _REPLACEMENT) if _NUL in data else data
