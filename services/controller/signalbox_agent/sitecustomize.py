"""Python imports this at its start where `PYTHONPATH` names the controller's guest folder; see `docs/operating.md`.

A worker that somebody else launches gets the agent by that one variable. Nothing is done, and nothing of Celery's is
imported, before the process turns out to be a worker. It must do no harm in any Python 3 that inherits the variable,
however old; and another `sitecustomize`, which it hides, is imported as if it were not there.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
#: The program of a worker: `celery worker`, `celery multi`, `app.worker_main()` import it; nothing else does.
_WORKER = "celery.apps.worker"


class _Awaited:
    """A finder that finds nothing: it only sees that a worker is about to be made."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        """Called by Python for every module that is imported for the first time."""
        if name == _WORKER:
            sys.meta_path.remove(self)
            _welcome()


def _welcome() -> None:
    try:
        from signalbox_agent.guest import install

        install(_socket())
    except Exception as error:  # noqa: BLE001 - the user's worker is not ours to break
        sys.stderr.write(f"Signalbox: no agent in this worker, which is not affected: {error!r}\n")


def _socket() -> str:
    named = os.environ.get("SIGNALBOX_AGENT_SOCKET")
    if named:
        return named
    with open(os.path.join(_HERE, "socket"), encoding="utf-8") as file:
        return file.read().strip()


def _hidden() -> None:
    """Import the `sitecustomize` that Python would have found without us; its errors are its own."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    places = [place for place in sys.path if os.path.abspath(place) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", places)
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


if "SIGNALBOX_INSTANCE" not in os.environ:  # what a controller launches has the agent in it
    sys.meta_path.insert(0, _Awaited())
_hidden()
