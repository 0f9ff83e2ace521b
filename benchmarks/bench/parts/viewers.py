"""Part `viewers`: browsers that watch while the record changes."""

from bench.figures import Spread
from bench.rows import Measurements, Row, Target
from bench.session import Part, Session
from bench.systems.signalbox import signalbox
from bench.systems.viewing import view
from bench.table import number

ROWS = (
    Row("p50", "from the commit to each browser, p50", "ms"),
    Row("p99", "from the commit to each browser, p99", "ms", Target(150.0)),
    Row("api", "CPU of the api, of a core", "%"),
    Row("cut", "browsers that were cut off", "", Target(0.0)),
)
_METHOD = """\
Browsers hold the live websocket of one api process open and read all that comes, while events of tasks that start are
published to the bus at an even pace. A frame names its last change by the millisecond at which that was published,
right after the commit; the lateness is taken for each frame and browser. All of them run in one process, which reads no
more of a frame than that, on the same machine. Flower pushes no changes of tasks: its pages ask again."""


async def measure(session: Session, measurements: Measurements) -> None:
    """Let them watch, in rounds."""
    options = session.options
    found = []
    async with signalbox(session.folder) as system:
        for round_number in range(options.rounds):
            session.say(f"round {round_number + 1} of {options.rounds}")
            found.append(await view(system, options.viewers, options.changes, options.seconds))
            rate = Spread.of([one.changes for one in found])
            note = f"{options.viewers:,} browsers, {number(rate.median if rate else 0)} changes a second"
            measurements.put("p50", [one.p50 for one in found], note=note)
            measurements.put("p99", [one.p99 for one in found], note=note)
            measurements.put("api", [one.cpu for one in found])
            measurements.put("cut", [float(one.cut_off) for one in found])


PART = Part(
    name="viewers",
    what="Browsers that watch",
    method=_METHOD,
    rows=ROWS,
    measure=measure,
    deadline=240.0,
    needs_flower=False,
)
