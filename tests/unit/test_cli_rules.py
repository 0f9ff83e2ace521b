"""The command line asks the api, or the controller of its host; it reaches neither Redis, PostgreSQL nor a service."""

import ast
from pathlib import Path

CLI = Path(__file__).parents[2] / "shared" / "signalbox_cli"
#: What it may know of Signalbox: words, the host's socket, and how a chain of lines is verified.
KNOWN = (
    *("signalbox.errors", "signalbox.local", "signalbox.messages", "signalbox.client.bulk", "signalbox_cli"),
    *("signalbox.trail.line", "signalbox.trail.verify", "signalbox.trail.checkpoint"),
)
#: `signalbox setup` writes the file of settings, so it alone knows their names; it reads and opens nothing by them.
OF_SETUP = {("setup.py", "signalbox.settings")}


def imported(source: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(source.read_text())))
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return whole | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def test_the_command_line_reaches_signalbox_by_the_api_and_the_hosts_socket_only() -> None:
    found = {(source.name, module) for source in CLI.rglob("*.py") for module in imported(source)}
    ours = {pair for pair in found - OF_SETUP if pair[1].startswith("signalbox")}
    assert ours
    assert {pair for pair in ours if not any(f"{pair[1]}.".startswith(f"{name}.") for name in KNOWN)} == set()
    assert {pair for pair in found if pair[1].partition(".")[0] in {"redis", "asyncpg", "celery"}} == set()
