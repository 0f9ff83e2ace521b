"""Processes that a former controller left behind, and the configured process that each of them belongs to."""

from collections.abc import Collection, Mapping, Sequence

from signalbox_controller.config.differences import same_process
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launches import Launch


def owners(left: Mapping[str, Launch], configured: Sequence[ProcessSpec]) -> dict[str, str]:
    """The name of the configured process for each launch that has one; each has at most one launch."""
    free = {spec.name: spec for spec in configured}
    found: dict[str, str] = {}
    for name, launch in left.items():
        if name in free and (launch.spec is None or same_process(launch.spec, free[name])):
            found[name] = name
            del free[name]
    for name, launch in left.items():
        if name not in found and (owner := _renamed(launch, free.values())):
            found[name] = owner
            del free[owner]
    return found


def _renamed(launch: Launch, free: Collection[ProcessSpec]) -> str:
    """The name under which the process stands in the file now, if that is another one; see `same_process`."""
    return next((spec.name for spec in free if launch.spec and same_process(launch.spec, spec)), "")
