"""Programs of the agent's package that work on a broker, run with an application's interpreter: JSON in, JSON out.

They run in the environment of the application, so that the controller needs no broker credentials.
"""

import logging
import subprocess
import tempfile
from typing import IO, TypeVar

import msgspec

from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launcher import Launcher
from signalbox_controller.linux.accounts import look_up
from signalbox_controller.linux.helper import wait_for
from signalbox_controller.linux.reaper import Reaper

log = logging.getLogger(__name__)

T = TypeVar("T")


class Programs(msgspec.Struct, frozen=True):
    """Runs such programs."""

    launcher: Launcher
    reaper: Reaper
    #: Whether what runs when the controller ends goes on; it has a deadline of its own then.
    outlive_us: bool = False

    async def run(self, spec: ProcessSpec, module: str, order: object, shape: type[T], deadline: float) -> T | None:
        """Run a program for at most `deadline` seconds.

        Returns its result, the last line of its output; None when it failed: its own words are in the log of `spec`.
        """
        try:
            await look_up([spec.user])
            with tempfile.TemporaryFile() as order_file, tempfile.TemporaryFile() as output:
                order_file.write(msgspec.json.encode(order))
                order_file.seek(0)
                program = self._launch(spec, module, order_file, output)
                code = await wait_for(program, self.reaper, deadline, outlives_us=self.outlive_us)
                output.seek(0)
                last = output.read().rpartition(b"\n{")[2]
            return msgspec.json.decode(b"{" + last, type=shape)
        except OSError as error:
            log.warning("%s cannot be run to look at the broker of %s: %s", spec.python, spec.name, error)
        except msgspec.DecodeError:
            log.warning("%s of %s failed (exit code %d); see its log", module, spec.name, code)
        return None

    def _launch(self, spec: ProcessSpec, module: str, order: IO[bytes], output: IO[bytes]) -> subprocess.Popen[bytes]:
        with self.launcher.log(spec).open("ab") as errors:
            return self.launcher.helper(spec, "-m", module, stdin=order, stdout=output, stderr=errors)
