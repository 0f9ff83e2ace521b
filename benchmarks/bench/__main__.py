"""`make bench`: measures, prints the tables, and writes the report."""

import asyncio
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import machine, report, runner
from bench.options import Options, parse
from bench.parts.all import PARTS
from signalbox_local.plan import ROOT

#: Where the report goes by default.
REPORT = ROOT / "docs" / "benchmarks.md"
#: Open files: a viewer takes one here and one in the api.
_FILES = 16_384


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


async def run(options: Options) -> list[runner.Outcome]:
    """Run the parts; TERM ends them as Ctrl-C does, and everything that they have started."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        parts = [part for part in PARTS if part.name in options.only]
        return await runner.run(options, parts, Path(folder), say)


def main(arguments: Sequence[str]) -> int:
    """Read the arguments, run, print, write; 0 unless a part has ended early."""
    options = parse(arguments, [(part.name, part.what) for part in PARTS], REPORT)
    began, load, described = time.monotonic(), machine.load(), machine.describe()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES if hard < 0 else min(_FILES, hard), hard))
    try:
        outcomes = asyncio.run(run(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; nothing is left running, and no report was written")
        return 130
    for outcome in outcomes:
        print(report.section(outcome), flush=True)
    if options.write:
        options.write.write_text(report.document(outcomes, options, described, load), encoding="utf-8")
        say(f"written to {options.write}")
    say(f"measured in {(time.monotonic() - began) / 60:.1f} minutes")
    return int(any(outcome.reason for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
