"""Launch of a supervised process: it is noted on disk before and after, and its agent is expected."""

import uuid

import msgspec

from signalbox_agent.proc import Proc, boot_id, identify
from signalbox_controller.agents.session import Supervisor
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launches import Launch
from signalbox_controller.logs.logfile import LogFile
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.instance import Instance


def launch(spec: ProcessSpec, context: HostContext, supervisor: Supervisor, log: LogFile) -> Instance:
    """Launch it once; `supervisor` takes the reports of its agent.

    Raises:
        OSError: the interpreter cannot be run.
    """
    note = Launch(instance=uuid.uuid4().hex, boot=boot_id(), log_start=log.position())
    context.launches.note(spec.name, note)
    agent = context.agents.expect(note.instance, spec.name, supervisor)
    try:
        popen = context.launcher.launch(spec, note.instance)
    except OSError:
        context.agents.retire(note.instance)
        context.launches.forget(spec.name)
        raise
    main = identify(popen.pid) or Proc(popen.pid, 0)
    context.launches.note(spec.name, msgspec.structs.replace(note, proc=main))
    return Instance(note.instance, main, agent, context.reaper, popen, note.log_start)
