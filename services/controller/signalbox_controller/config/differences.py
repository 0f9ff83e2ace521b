"""Differences between the configuration of a process that runs and that in the file."""

from typing import Final

from signalbox_controller.config.specs import ProcessSpec

#: The fields that only supervision uses: a change of them needs no new launch. Every other field does.
SUPERVISION: Final = frozenset(
    {
        "name",
        "kind",
        "label",
        "stop_timeout",
        "start_timeout",
        "restart",
        "restart_limit",
        "minimum_running",
        "kill_after",
        "lease",
    }
)


def changed(former: ProcessSpec, latter: ProcessSpec) -> tuple[str, ...]:
    """The keys whose values differ."""
    return tuple(key for key in ProcessSpec.__struct_fields__ if getattr(former, key) != getattr(latter, key))


def outdated(running: ProcessSpec, wanted: ProcessSpec) -> tuple[str, ...]:
    """The keys that differ, and that only a new launch brings into effect."""
    return tuple(key for key in changed(running, wanted) if key not in SUPERVISION)


def same_process(launched: ProcessSpec, configured: ProcessSpec) -> bool:
    """Whether a process that was launched from one spec is that of the other, be it with other options.

    It has the same name, in the same application: that of the same name in the file, or the same one by itself. An
    application has one beat, whatever its name: two of them would send everything twice.
    """
    if launched.kind != configured.kind:
        return False
    application = launched.label == configured.label or _application(launched) == _application(configured)
    return application and (launched.name == configured.name or launched.kind == "beat")


def _application(spec: ProcessSpec) -> tuple[object, ...]:
    return spec.app, spec.directory.resolve(), spec.python
