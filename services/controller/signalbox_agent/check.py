"""Check of a configuration: `python -m signalbox_agent.check`, run with the interpreter of an application.

It imports the application as a worker does, and has Celery read the command lines; it connects to nothing. Input, in
JSON: `app`, and `processes`, each with `name`, `kind`, `arguments` and `queues`. Output: `errors`, of the application
with an empty name, else of a process by its name; `notes` likewise.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any


def main() -> None:
    """Check what standard input names; print what was found."""
    order = json.load(sys.stdin)
    sys.path.insert(0, os.getcwd())
    errors: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    try:
        app = load(order["app"])
    except Exception as error:  # noqa: BLE001 - whatever an application may raise
        errors.append(("", reason(error, order["app"])))
    else:
        errors += [("", text) for text in unusable_broker(app)]
        known, declared = queues_of(app)
        for process in order["processes"]:
            name = process["name"]
            errors += [(name, text) for text in refused(order["app"], process["kind"], process["arguments"])]
            strange = [queue for queue in process["queues"] if queue not in known]
            (errors if declared else notes).extend((name, text) for text in not_declared(strange, declared, known))
    sys.stdout.write(f"\n{json.dumps({'errors': errors, 'notes': notes})}\n")


def load(name: str) -> Any:
    """Import the application, and the modules of its tasks, as a worker does."""
    from celery.app.utils import find_app

    app = find_app(name)
    app.loader.import_default_modules()
    return app


def reason(error: BaseException, name: str) -> str:
    """Why an application cannot be imported, in words."""
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if missing == "celery":
        return f"{sys.executable} has no Celery: install it there, or name the interpreter that has it (`python`)"
    module = name.partition(":")[0]
    if missing and (module == missing or module.startswith(f"{missing}.")):
        return f"there is no module {missing!r} in {os.getcwd()}: correct `app` or `directory`"
    if isinstance(error, AttributeError) and module in str(error):
        return f"there is no application in {name!r}: {error}"
    return f"{name!r} cannot be imported: {type(error).__name__}: {error}; {_place(error)}"


def _place(error: BaseException) -> str:
    """Where the error was raised: the innermost place outside of the standard library and installed packages."""
    found, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(os.getcwd()) or not found:
            found = f"{file}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def unusable_broker(app: Any) -> Iterator[str]:
    """What keeps kombu from speaking to the application's broker at all, such as a package that is not installed."""
    try:
        app.connection_for_write().transport  # noqa: B018 - made when it is first asked for; connects to nothing
    except Exception as error:  # noqa: BLE001 - kombu, and whatever it imports
        yield f"its broker cannot be spoken to: {type(error).__name__}: {error}"


def refused(app: str, kind: str, arguments: list[str]) -> Iterator[str]:
    """What Celery's own command line refuses of these arguments."""
    import click
    from celery.bin.celery import celery as group

    try:
        with group.make_context("celery", ["-A", app, kind, *arguments]) as context:
            context.invoked_subcommand = kind
            context.invoke(group.callback, **context.params)
            command: Any = group.get_command(context, kind)
            with command.make_context(kind, list(arguments), parent=context):
                pass
    except click.UsageError as error:
        yield f"`celery {kind}` refuses its options: {error.format_message()}"
    except Exception as error:  # noqa: BLE001 - a pool whose library is missing, an option of the application's own
        yield f"`celery {kind}` refuses its options: {type(error).__name__}: {error}"


def queues_of(app: Any) -> tuple[set[str], bool]:
    """The queues that the application names anywhere, and whether it declares its queues (`task_queues`)."""
    known = set(app.amqp.queues) | {app.conf.task_default_queue}
    known |= set(_routed(app.conf.task_routes))
    known |= {task.queue for task in app.tasks.values() if isinstance(getattr(task, "queue", None), str)}
    for entry in dict(app.conf.beat_schedule or {}).values():
        options = entry.get("options") if isinstance(entry, dict) else None
        known |= set(_routed({"": options or {}}))
    return known, bool(app.conf.task_queues)


def _routed(routes: Any) -> Iterator[str]:
    """The queues that routes name; those that a function computes are not known."""
    if isinstance(routes, (list, tuple)):
        for one in routes:
            yield from _routed(one)
        return
    if not isinstance(routes, dict):
        return
    for route in routes.values():
        queue = route.get("queue") if isinstance(route, dict) else route
        name = getattr(queue, "name", queue)
        if isinstance(name, str):
            yield name


def not_declared(queues: Iterable[str], declared: bool, known: Iterable[str]) -> Iterator[str]:
    """What is to be said of queues that the application does not name."""
    names = ", ".join(sorted(known))
    for queue in queues:
        if declared:
            yield f"the queue {queue!r} is not among those that the application declares: {names}"
        else:
            yield f"the queue {queue!r} is named nowhere in the application, which names {names}"


if __name__ == "__main__":
    main()
