"""Routers joined, and added as they are: FastAPI builds each route of an included one once more, and walks
their tree several times a request."""

from fastapi import APIRouter, FastAPI


def joined(*routers: APIRouter) -> APIRouter:
    """One router with the routes of these, in their order; each has its prefix and tags already."""
    whole = APIRouter()
    for router in routers:
        whole.routes.extend(router.routes)
    return whole


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    """Serve the routes of these, in their order and after what is served already."""
    app.router.routes.extend(joined(*routers).routes)
