"""One walk: the steps that a person takes after the wheels are installed, with a project of their own."""

import json
import shlex
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from signalbox_local.ports import free_port
from support.eventually import eventually
from support.host import lives
from support.install_page import commands, configuration, filled_in, of_the_stores
from support.shell import Shell, a_shell
from support.stores.server import Redis
from support.walks.environments import Installation
from support.walks.shapes import Shape

#: The id of a task on the page.
AN_ID = "2f5c1c8e-…"


class Walk:
    """What a person types who follows the page, and what they look at."""

    def __init__(self, shell: Shell, shape: Shape, folder: Path, python: str, values: dict[str, str]) -> None:
        self.shell = shell
        self.shape = shape
        self.folder = folder
        self.python = python
        self.values = values

    async def follow(self, section: str, **more: str) -> str:
        """Type the commands of a section; what they printed."""
        values = self.values | more
        return "".join([await self.shell.right(filled_in(command, values)) for command in commands(section)])

    async def of_the_project(self, arguments: str) -> str:
        """Run the project's own interpreter in its folder; what it printed last."""
        said = await self.shell.right(
            f"(cd {shlex.quote(str(self.project))} && {shlex.quote(self.python)} {arguments})"
        )
        return said.strip().rpartition("\n")[2]

    async def send(self, task: str, arguments: str) -> str:
        """Send a task as the project's authors do by hand; its id."""
        call = self.shape.call.format(app=self.shape.app, task=task, arguments=arguments)
        return await self.of_the_project(call)

    async def ask(self, question: str) -> Any:
        """What a command of ours answers to a program."""
        return json.loads(await self.shell.right(f"signalbox {question} --json"))

    async def task(self, task_id: str, status: str) -> dict[str, Any]:
        """A task, as soon as the record has it with this status."""

        async def look() -> dict[str, Any] | None:
            found = (await self.ask(f"tasks --status {status} --q {task_id}"))["items"]
            return next((one for one in found if one["task_id"] == task_id), None)

        return await eventually(look, f"{task_id} is {status}")

    async def processes(self) -> list[dict[str, Any]]:
        """Those of the only host."""
        [host] = (await self.ask("status"))["hosts"]
        return list(host["processes"])

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def schedule(self) -> Path:
        """Where Celery's own scheduler keeps its entries."""
        return self.folder / ".signalbox" / "controller" / "beat.schedule"


async def set_up(walk: Walk) -> None:
    said = await walk.follow("2. Setup")
    assert "Sign in as" in said, said


async def prepare_the_project(walk: Walk) -> None:
    for arguments in walk.shape.preparation:
        await walk.of_the_project(arguments)


async def configure(walk: Walk) -> None:
    text = filled_in(configuration(), walk.values)
    (walk.folder / "signalbox.toml").write_text(text, encoding="utf-8")
    said = await walk.follow("3. Your application")
    assert "2 processes" in said, said


async def start_the_services(walk: Walk) -> None:
    await walk.follow("4. Start")


async def look(walk: Walk) -> None:
    async def well() -> bool:
        code, found = await walk.shell.type("signalbox doctor")
        assert code == 0, found
        return True

    await eventually(well, "the doctor finds everything well")
    await every_light_is_green(walk, await walk.follow("5. Look"))


async def every_queue_is_consumed(walk: Walk) -> None:
    for queue, (task, arguments) in walk.shape.short.items():
        done = await walk.task(await walk.send(task, arguments), "completed")
        assert done["queue"] == queue, done


async def cancel_a_task(walk: Walk) -> None:
    task_id = await walk.send(walk.shape.long, "[600]")
    running = await walk.task(task_id, "running")
    process = psutil.Process(running["pid"])
    said = await walk.follow("6. Cancel a task", **{AN_ID: task_id})
    assert "has been cancelled and marked as failed" in said, said
    assert not lives(process.pid), process
    assert (await walk.task(task_id, "failed"))["outcome"] == "cancelled"


async def stop_and_start(walk: Walk) -> None:
    [stop, start] = [filled_in(command, walk.values) for command in commands("7. Stop and start")]
    before = [psutil.Process(one["pid"]) for one in await walk.processes()]
    tree = before + [child for one in before for child in one.children(recursive=True)]
    said = await walk.shell.right(stop)
    assert "Celery has been stopped" in said, said
    assert [one for one in tree if one.is_running() and lives(one.pid)] == []
    assert {one["state"] for one in await walk.processes()} == {"stopped"}
    said = await walk.shell.right(start)
    assert "Celery has been started" in said, said
    await every_light_is_green(walk, said)
    await every_queue_is_consumed(walk)


async def beat_has_sent_once(walk: Walk) -> None:
    """By the record, and by the scheduler's own count, which it saves when it stops."""
    await walk.shell.right("signalbox stop --mode immediate")
    sent = (await walk.ask(f"tasks --name {walk.shape.scheduled}"))["items"]
    assert [one["status"] for one in sent] == ["completed"], sent
    count = " ".join(map(shlex.quote, ("-c", walk.shape.count, str(walk.schedule), walk.shape.entry)))
    assert await walk.of_the_project(count) == "1"


async def every_light_is_green(walk: Walk, said: str) -> None:
    """Whether each light is green; `said` is what was printed before."""
    status = await walk.ask("status")
    assert {status[light] for light in ("celery", "worker", "beat")} == {"running"}, f"{said}\n{status}"


#: What is done, in words, one after the other.
STEPS: tuple[tuple[str, Callable[[Walk], Awaitable[None]]], ...] = (
    ("set up", set_up),
    ("prepare the project", prepare_the_project),
    ("configure and check", configure),
    ("start the services", start_the_services),
    ("supervised", look),
    ("every queue is consumed", every_queue_is_consumed),
    ("cancelled, and proven", cancel_a_task),
    ("stopped, and started", stop_and_start),
    ("beat has sent once", beat_has_sent_once),
)


@asynccontextmanager
async def a_walk(
    installation: Installation, shape: Shape, python: str, folder: Path, redis: Redis, database: str
) -> AsyncIterator[Walk]:
    """A walk that may begin: our commands are found, and the project lies beside its own interpreter."""
    project = folder / "project"
    shutil.copytree(shape.folder, project, ignore=shutil.ignore_patterns("__pycache__"))
    page = {
        "/srv/shop/.venv/bin/python": python,
        "/srv/shop": str(project),
        'app = "shop"': f'app = "{shape.app}"',
        "apps.shop": f"apps.{shape.name}",
    }
    environ = {
        shape.broker: redis.url_of(1),
        "SIGNALBOX_PORT": str(free_port()),
        "SIGNALBOX_HOSTNAME": "walk",
    }
    async with a_shell(folder, **environ) as shell:
        for line in installation.exports:
            await shell.right(line)
        yield Walk(shell, shape, folder, python, of_the_stores(redis.url, database) | page)
