"""Routes of the api; each module has one `router` of short functions."""

from fastapi import APIRouter

from signalbox_api.routes import admin, cancel, celery, commands, health, live, pages, session, tasks

#: Every router, in the order in which /docs lists them.
ROUTERS: tuple[APIRouter, ...] = (
    cancel.router,
    celery.router,
    tasks.router,
    commands.router,
    live.router,
    session.router,
    admin.router,
    health.router,
    pages.router,
)
