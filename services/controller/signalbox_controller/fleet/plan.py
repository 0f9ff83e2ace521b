"""Plan of an edited configuration: what it would change of the processes that are supervised now. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from signalbox.local.protocol import Change
from signalbox_controller.config.differences import changed, outdated
from signalbox_controller.config.specs import ProcessSpec


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """A process that is supervised now."""

    #: As the file had it.
    spec: ProcessSpec
    #: What its process was launched from, where it has one.
    running: ProcessSpec | None = None
    #: Whether there is something of it to be stopped, or it is about to be launched again.
    active: bool = False
    #: Whether it is to run; a person may have stopped it.
    wanted: bool = True
    configured: bool = True


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an edited file changes."""

    changes: tuple[Change, ...] = ()
    #: The specs that count from now on.
    specs: tuple[ProcessSpec, ...] = ()
    #: In words: what counts only when the controller is started anew.
    later: tuple[str, ...] = ()

    def of(self, action: str) -> tuple[str, ...]:
        """The processes with this action."""
        return tuple(change.name for change in self.changes if change.action == action)


def plan(
    present: Mapping[str, Present],
    wanted: Sequence[ProcessSpec],
    others: Collection[str] = (),
    new_users: Collection[str] = (),
) -> Plan:
    """Compare the processes with the file.

    Args:
        present: the processes that are supervised now, by name.
        wanted: what the file has.
        others: the names of workers that others launched.
        new_users: the users that this controller has made nothing ready for.
    """
    steps = [_wanted(spec, present.get(spec.name), others, new_users) for spec in wanted]
    named = {spec.name for spec in wanted}
    beats = {spec.label: spec.name for spec in wanted if spec.kind == "beat"}
    for name, former in present.items():
        if name in named or not former.configured:
            continue
        successor = beats.get(former.spec.label, "") if former.spec.kind == "beat" else ""
        if successor:  # two beats of one application must not run side by side
            steps = [step for step in steps if step.name != successor]
        steps.append(_no_longer_wanted(name, former, successor))
    return Plan(
        changes=tuple(step.change for step in steps if step.change),
        specs=tuple(step.spec for step in steps if step.spec),
        later=tuple(f"{step.name}: {step.later}" for step in steps if step.later),
    )


class _Step(NamedTuple):
    """What becomes of one process."""

    name: str
    #: The spec that counts from now on.
    spec: ProcessSpec | None = None
    change: Change | None = None
    later: str = ""


def _wanted(spec: ProcessSpec, former: Present | None, others: Collection[str], new_users: Collection[str]) -> _Step:
    """What becomes of a process that the file has."""
    if spec.name in others:
        return _Step(spec.name, later="a worker that others launched goes by this name; give it another one")
    if former is None:
        if spec.runs_as in new_users:
            return _Step(spec.name, later=_new_user(spec))
        return _Step(spec.name, spec, Change(name=spec.name, action="start", detail="new"))
    if why := _not_now(former.spec, spec, new_users):
        return _Step(spec.name, former.spec, later=why)
    return _Step(spec.name, spec, _change(former, spec))


def _no_longer_wanted(name: str, former: Present, successor: str) -> _Step:
    """What becomes of a process that the file has no more; `successor` is the beat that it has in its place."""
    if successor:
        return _Step(name, former.spec, later=f"beat has another name now, {successor}")
    if former.active:
        return _Step(name, change=Change(name=name, action="stop", detail="no longer in the file"))
    return _Step(name, change=Change(name=name, action="remove", detail="no longer in the file; it does not run"))


def _not_now(former: ProcessSpec, spec: ProcessSpec, new_users: Collection[str]) -> str:
    """Why a change of a process cannot be made while the controller runs; empty when it can."""
    if former.kind != spec.kind:
        return f"it was a {former.kind}, and is a {spec.kind} now"
    if spec.kind == "beat" and (former.label, former.lease) != (spec.label, spec.lease):
        return "its lease, or the application of its lease, is another one"
    return _new_user(spec) if spec.runs_as in new_users else ""


def _new_user(spec: ProcessSpec) -> str:
    return f"it runs as {spec.runs_as}, as no process did when the controller was started"


def _change(former: Present, spec: ProcessSpec) -> Change | None:
    launched = former.running or former.spec
    keys = changed(launched, spec)
    renewed = bool(outdated(launched, spec))
    if not former.configured:
        detail = "configured again" + (f": {words(launched, spec, keys)}" if keys else "")
        return Change(name=spec.name, action="restart" if renewed else "take over", detail=detail)
    if former.wanted and renewed:
        return Change(name=spec.name, action="restart", detail=words(launched, spec, keys))
    if keys := changed(former.spec, spec):
        return Change(name=spec.name, action="adjust", detail=words(former.spec, spec, keys))
    return None


def words(former: ProcessSpec, spec: ProcessSpec, keys: Sequence[str]) -> str:
    """The differences for a person; of the environment only the names, as the values may be secrets."""
    return ", ".join(_difference(key, getattr(former, key), getattr(spec, key)) for key in keys)


def _difference(key: str, old: object, new: object) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        return f"{key} ({', '.join(names)})"
    return f"{key} {_value(old)} → {_value(new)}"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return str(value) if value not in {"", None} else "none"
