"""The pages, put together: one line each."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import asyncpg
import httpx2
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from libs.runtime.routers import add_routes, joined
from libs.runtime.settings import Settings
from services.console.pages import (
    access,
    amend,
    authorise,
    change,
    customer,
    exceptions,
    insight,
    order,
    order_events,
    orders,
    parked_exceptions,
    platform,
    rebuild,
    returns,
    review,
    rules,
    serials,
    stock,
    stock_exceptions,
    today,
)
from services.console.queries import Queries
from services.console.web import login, site
from services.console.web.actions import Actions
from services.console.web.feed import Feed
from services.console.web.freshness import Freshness, Positions
from services.console.web.guard import Guard
from services.console.web.issuer import PATH, DevelopmentIssuer
from services.console.web.rebuilds import Rebuilds
from services.console.web.sessions import Sessions
from services.console.web.shell import Shell
from services.console.web.site import AboutOrders, Site
from services.console.web.stages import Stages
from services.console.web.trust import trusted

PAGES: tuple[Callable[[Site], APIRouter], ...] = (
    today.routes,
    orders.routes,
    order.routes,
    order_events.routes,
    amend.routes,
    change.routes,
    review.routes,
    authorise.routes,
    returns.routes,
    customer.routes,
    stock.routes,
    serials.routes,
    exceptions.routes,
    rules.routes,
    parked_exceptions.routes,
    stock_exceptions.routes,
    insight.routes,
    platform.routes,
    rebuild.routes,
    access.routes,
)
"""Each page's routes. The navigation (`services.console.web.shell.PLACES`) shows those that are here."""


async def open_site(
    config: Settings,
    pool: asyncpg.Pool,
    queries: Queries,
    ends: Positions,
    about: AboutOrders,
    shell: Shell,
    stack: AsyncExitStack,
) -> Site:
    """What pages stand on; `stack` closes it. `ends`: the next offset of each partition that is projected."""
    patience = httpx2.Timeout(config.console_wait_seconds + 5, connect=config.console_connect_seconds)
    http = await stack.enter_async_context(
        httpx2.AsyncClient(timeout=patience, trust_env=False, verify=trusted())
    )
    freshness = Freshness(
        ends, queries.positions, config.console_freshness_seconds, config.console_silent_seconds
    )
    stages = Stages(config, http)
    stack.push_async_callback(stages.close)
    rebuilds = Rebuilds(pool)
    stack.push_async_callback(rebuilds.close)
    guard = Guard(Sessions(pool, config.session_seconds, config.session_idle_seconds), own_url(config))

    return Site(
        config,
        queries,
        guard,
        shell,
        freshness,
        Feed(config.dsn("console"), config.connect_timeout_seconds, freshness, config.page_streams_max),
        Actions(config, queries, http),
        about,
        stages,
        rebuilds,
    )


def add_pages(app: FastAPI, of: Site) -> None:
    """Serve the pages, and the way in."""
    config, url, transport, issuer = of.settings, own_url(of.settings), None, of.settings.oidc_issuer
    if config.development_issuer:
        issuer = url + PATH
        alone = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        at_issuer = DevelopmentIssuer(issuer, config.oidc_client_id, url + login.CALLBACK, of.shell).routes()
        add_routes(alone, at_issuer)
        add_routes(app, at_issuer)
        transport = httpx2.ASGITransport(app=alone)
    pages = joined(*(routes(of) for routes in PAGES))
    add_routes(app, login.routes(config, url, issuer, of.guard, of.shell, transport), site.routes(of), pages)
    of.shell.serve(frozenset(route.path for route in pages.routes if isinstance(route, APIRoute)))


def own_url(config: Settings) -> str:
    """Where browsers reach this console, without a slash at the end."""
    return config.console_url.rstrip("/") or f"http://127.0.0.1:{config.port('console')}"
