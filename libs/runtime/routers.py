"""Routers joined into one: FastAPI walks the tree of those that were included several times a request."""

from fastapi import APIRouter


def joined(*routers: APIRouter) -> APIRouter:
    """One router with the routes of these, in their order; each has its prefix and tags already."""
    whole = APIRouter()
    for router in routers:
        whole.routes.extend(router.routes)
    return whole
