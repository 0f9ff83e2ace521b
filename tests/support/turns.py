"""A worker that takes every task there is from its queue, and knows how long its loop was kept from turning."""

from pathlib import Path

#: One worker; `{{turns}}` is the file with its longest turn.
GREEDY = f"""
[apps.shop]
app = "turning"
directory = "{Path(__file__).parent / "turning"}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{{{SHOP_BROKER_URL}}}}"
SHOP_RESULT_BACKEND = "${{{{SHOP_RESULT_BACKEND}}}}"
TURNS_FILE = "${{{{TURNS_FILE}}}}"
[[apps.shop.workers]]
name = "greedy"
concurrency = 2
options = ["--prefetch-multiplier=100000"]
"""


class LongestTurn:
    """The longest time for which the worker's loop did nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def forget(self) -> None:
        """Begin anew."""
        self._path.unlink(missing_ok=True)

    @property
    def seconds(self) -> float:
        """Since it was forgotten."""
        return float(self._path.read_text(encoding="utf-8"))
