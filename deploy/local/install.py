"""Set up `.venv` and the dashboard's front-end modules: `python3 install.py run|dev`, from the repository's root.

`python3 install.py wheels FOLDER` does that for a run, and builds a wheel of each part into the folder.

Runs before anything is installed, so it needs the standard library only. Each step stores a digest of its
inputs, and does nothing while that stays the same.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
#: Packages that only some tests need, and that would slow every process which could import them.
MONITORING = VENV / "monitoring"
DISTRIBUTIONS = ("shared", "services/api", "services/controller", "services/reconciler")
#: How the names of their wheels begin.
WHEELS = ("celery_signalbox", "signalbox_api", "signalbox_controller", "signalbox_reconciler")
#: The modules that the dashboard loads from npm: the file in node_modules, and how TypeScript finds its types.
FRONT_END = {
    "preact": ("preact/dist/preact.mjs", 'export * from "preact";\n'),
    "hooks": ("preact/hooks/dist/hooks.mjs", 'export * from "preact/hooks";\n'),
    "htm": ("htm/dist/htm.module.js", 'export { default } from "htm";\n'),
}
VENDOR = ROOT / "services/api/signalbox_api/dashboard/vendor"
PATIENCE = 900


class InstallError(Exception):
    """A step failed; the text has its command and output."""


def main(arguments: Sequence[str]) -> int:
    """Install what `run` or `dev` needs, or build `wheels`; 0 when it is all there."""
    order = arguments[0] if arguments else "run"
    wanted = "run" if order == "wheels" else order
    try:
        with alone():
            make_venv()
            install_packages(wanted)
            if wanted == "dev":
                install_monitoring()
            install_distributions()
            install_front_end(wanted)
            if order == "wheels":
                build_wheels(Path(arguments[1]).absolute())
    except KeyboardInterrupt:
        print("\nsignalbox: the installation was stopped; the same command goes on with it", file=sys.stderr)
        return 130
    except (InstallError, OSError) as error:
        print(f"signalbox: {error}", file=sys.stderr)
        return 1
    return 0


def make_venv() -> None:
    """An environment of this interpreter at this very place; made anew when either has changed."""
    made_by_hand = not _stamp("venv").exists()

    def make() -> None:
        if made_by_hand and _venv_fits():
            return
        with step("Python environment"):
            made = _run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
            if made.returncode != 0:
                raise InstallError(
                    f"{sys.executable} cannot make a virtual environment; on Debian install python3-venv, or name"
                    f" another interpreter with: make PYTHON=python3.12\n{made.stdout.strip()}"
                )

    unless_done("venv", make, sys.version, str(VENV))


def install_packages(wanted: str) -> None:
    """The locked packages; those of `dev` contain those of `run`."""
    lock = f"requirements/{wanted}.txt"
    locks = [_text(f"requirements/{name}.txt") for name in ("run", "dev")]
    work = partial(_pip, f"Python packages ({lock})", "--require-hashes", "-r", lock)
    unless_done("packages", work, wanted, *locks, larger=("dev", *locks))


def install_monitoring() -> None:
    """Monitoring of others, for the workers of the tests about it, which have this folder on PYTHONPATH."""
    lock = "requirements/monitoring.txt"

    def install() -> None:
        shutil.rmtree(MONITORING, ignore_errors=True)
        _pip(f"Monitoring of others ({lock})", "--target", str(MONITORING), "--require-hashes", "-r", lock)

    unless_done("monitoring", install, _text(lock))


def install_distributions() -> None:
    """Our own distributions, editable; their dependencies are in the locks."""
    described = [_text(f"{folder}/pyproject.toml") for folder in DISTRIBUTIONS]
    editables = (part for folder in DISTRIBUTIONS for part in ("-e", f"./{folder}"))
    work = partial(_pip, "Signalbox itself", "--no-deps", "--no-build-isolation", *editables)
    unless_done("distributions", work, *described)


def install_front_end(wanted: str) -> None:
    """The dashboard's modules from npm, and for `dev` what checks ours; npm comes by pip where it is missing."""

    def install() -> None:
        npm = shutil.which("npm") or str(VENV / "bin" / "npm")
        if not Path(npm).exists():
            _pip("npm (requirements/node.txt)", "--require-hashes", "-r", "requirements/node.txt")
        with step("Front-end packages"):
            path = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            scope = ["--omit=dev"] if wanted == "run" else []
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *scope]
            _run(command, environ={**os.environ, "PATH": path})
            copy_front_end()

    if not all((VENDOR / f"{name}.js").exists() for name in FRONT_END):
        _stamp("front-end").unlink(missing_ok=True)
    made_from = (_text("package-lock.json"), _text("deploy/local/install.py"))
    unless_done("front-end", install, wanted, *made_from, larger=("dev", *made_from))


def copy_front_end() -> None:
    """Put the modules beside the dashboard's own. A browser resolves no bare name: `preact` becomes the file's."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir()
    for name, (file, types) in FRONT_END.items():
        module = (ROOT / "node_modules" / file).read_text().replace('from"preact"', 'from"./preact.js"')
        (VENDOR / f"{name}.js").write_text(module)
        (VENDOR / f"{name}.d.ts").write_text(types)


def build_wheels(folder: Path) -> None:
    """A wheel of each part; those of earlier builds in the folder are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (one for name in WHEELS for one in folder.glob(f"{name}-*.whl")):
        old.unlink()
    with step("Wheels"):
        sources = [f"./{part}" for part in DISTRIBUTIONS]
        offline = ["--no-deps", "--no-build-isolation", "--no-index"]
        quiet = ["--disable-pip-version-check", "--no-input", "-q"]
        _run([str(PYTHON), "-m", "pip", "wheel", *quiet, *offline, "--wheel-dir", str(folder), *sources])
    for wheel in sorted(folder.glob("*.whl")):
        print(f"  {wheel.name}")


@contextmanager
def alone() -> Iterator[None]:
    """Wait for another installation in this clone to end: two `make up` must not install into each other."""
    root = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(root, fcntl.LOCK_EX)
        yield
    finally:
        os.close(root)


def unless_done(name: str, work: Callable[[], None], *made_from: str, larger: Sequence[str] = ()) -> None:
    """Do the `work` of a step, unless it was done with exactly this, or with `larger`, which contains it."""
    stamp = _stamp(name)
    if stamp.exists() and stamp.read_text() in {_digest(made_from), _digest(larger)}:
        return
    stamp.unlink(missing_ok=True)
    work()
    stamp.write_text(_digest(made_from))


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print the step and its duration."""
    began = time.monotonic()
    print(f"  {what} ...", end="", flush=True)
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - began:.1f} s", flush=True)


def _stamp(name: str) -> Path:
    return VENV / f".signalbox-{name}"


def _digest(made_from: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()


def _text(path: str) -> str:
    return (ROOT / path).read_text()


def _venv_fits() -> bool:
    """Whether the interpreter in `.venv` runs, has our version, and has pip."""
    ask = "import pip, sys; print(sys.version, sys.prefix, sep='\\n')"
    if not PYTHON.exists():
        return False
    result = _run([str(PYTHON), "-c", ask], check=False)
    return result.returncode == 0 and result.stdout.strip() == f"{sys.version}\n{VENV}"


def _pip(what: str, *arguments: str) -> None:
    with step(what):
        _run([str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-q", *arguments])


def _run(
    command: Sequence[str], *, check: bool = True, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool in the root; its output is shown only when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"gave up after {PATIENCE} s: {' '.join(command)}") from error
    if check and done.returncode != 0:
        raise InstallError(f"this failed: {' '.join(command)}\n{done.stdout.strip()}")
    return done


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
