"""Fixtures of the tests that take parts away."""

from support.shared_system import fresh_system, shared_system, system

__all__ = ["fresh_system", "shared_system", "system"]
