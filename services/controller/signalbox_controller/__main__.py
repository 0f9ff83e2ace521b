"""`python -m signalbox_controller`: supervise the Celery processes of this host."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from signalbox.service import configure_logging, exit_code, run
from signalbox.settings import Settings
from signalbox_controller.check import Finding, check
from signalbox_controller.config.settings import Configuration, load
from signalbox_controller.errors import ConfigurationError
from signalbox_controller.service import controller, host_name

_DESCRIPTION = """
Supervises the Celery workers and beat of this host, as its configuration file says, and carries out what
is asked of it on the bus. Environment variables: SIGNALBOX_REDIS_URL,
SIGNALBOX_KEY, SIGNALBOX_CONFIG (signalbox.toml), SIGNALBOX_DATA (.signalbox), SIGNALBOX_HOSTNAME,
SIGNALBOX_ON_EXIT (leave or stop: what becomes of Celery when the controller ends), SIGNALBOX_CGROUPS (auto or off),
SIGNALBOX_LOG_LEVEL.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser("signalbox-controller", description=_DESCRIPTION)
    parser.add_argument(
        "--check",
        action="store_true",
        help="check settings and configuration, also with the interpreter of each application, and do nothing else",
    )
    options = parser.parse_args(arguments)

    def start() -> None:
        settings = Settings.from_env()
        configuration = load(settings.config)
        if options.check:
            host = host_name(configuration, settings, os.environ)
            _show(configuration, host)
            _report(check(configuration, host, settings, os.environ), settings.config)
            return
        configure_logging(settings.log_level)
        # A reload while it starts or ends would kill it. Not SIG_IGN, which what it launches would inherit.
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
        asyncio.run(run(controller(settings, configuration, dict(os.environ))))

    return exit_code("signalbox-controller", start)


def _show(configuration: Configuration, host: str) -> None:
    sys.stdout.write(f"{host}: {len(configuration.processes)} processes\n")
    for spec in configuration.processes:
        queues = ", ".join(spec.queues) or "the queues of its application"
        consumes = f" consumes {queues} with {spec.concurrency} × {spec.pool}" if spec.kind == "worker" else ""
        sys.stdout.write(f"  {spec.name} ({spec.kind} of {spec.app}){consumes}\n")


def _report(findings: Sequence[Finding], file: Path) -> None:
    """Print what was found.

    Raises:
        ConfigurationError: a process cannot work like that.
    """
    for finding in findings:
        sys.stdout.write(f"  {'error' if finding.error else 'note'}: {finding.where}: {finding.text}\n")
    if count := sum(finding.error for finding in findings):
        raise ConfigurationError(f"{file}: {count} {'error' if count == 1 else 'errors'}, as listed")


if __name__ == "__main__":
    sys.exit(main())
