"""Signatures: only who holds the key can give commands (HMAC-SHA256, RFC 2104)."""

import hashlib
import hmac

from signalbox.errors import BadSignature


def sign(key: str, data: bytes) -> bytes:
    """The signature of `data`, in hexadecimal."""
    return hmac.new(key.encode(), data, hashlib.sha256).hexdigest().encode()


def verify(key: str, data: bytes, signature: bytes | None) -> None:
    """Pass silently, or raise BadSignature."""
    if not signature or not hmac.compare_digest(sign(key, data), signature):
        raise BadSignature("the command is not signed with this installation's key")
