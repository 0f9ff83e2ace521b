"""Routes of the api; each module has one `router` of short functions."""

from collections.abc import Iterator

from fastapi import APIRouter

from signalbox_api.routes import admin, audit, cancel, celery, commands, health, live, pages, passwords, session, tasks

#: Every router, in the order in which /docs lists them.
ROUTERS: tuple[APIRouter, ...] = (
    cancel.router,
    celery.router,
    tasks.router,
    commands.router,
    audit.router,
    live.router,
    session.router,
    passwords.router,
    admin.router,
    health.router,
    pages.router,
)


def own_addresses() -> Iterator[str]:
    """The paths of all routes."""
    return (str(getattr(route, "path", "")) for router in ROUTERS for route in router.routes)
