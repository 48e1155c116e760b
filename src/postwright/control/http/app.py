"""The application: all routes of the port behind the shield and the guard, and how their errors become answers.

`make_app(site)` is what the process serves and what tests ask without a socket. A new subject is a module with `ROUTES`, named in `routes`.
"""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme
from litestar.types import ASGIApp

from postwright import __version__
from postwright.control.api.quick_lane import QuickLane
from postwright.control.http.guard import may
from postwright.control.http.problems import HANDLERS
from postwright.control.http.routes import ROUTES
from postwright.control.http.shield import Shield
from postwright.control.http.site import Site

LARGEST_BODY = 1 << 20  # octets, where a route does not say more

_ABOUT = """\
What a relay says of itself, and what it is told to do. Show a key as `X-API-Key` or `Authorization: Bearer`; keys are made with
`postwright key add`. Errors are `application/problem+json` (RFC 9457). Lists come in pages: `next` of one is `cursor` of the next.
"""


def make_app(site: Site) -> ASGIApp:
    """The whole, as uvicorn serves it."""
    return Shield(QuickLane(make_routes(site), site), site)


def make_routes(site: Site) -> Litestar:
    """The routes without the shield: for the table of rights and for the description of the API."""
    return Litestar(
        ROUTES,
        guards=[may],
        exception_handlers=HANDLERS,
        state=State({"site": site}),
        request_max_body_size=LARGEST_BODY,
        openapi_config=_openapi(),
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )


def _openapi() -> OpenAPIConfig:
    schemes: Any = {
        "key": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
        "bearer": SecurityScheme(type="http", scheme="bearer"),
    }
    return OpenAPIConfig(
        title="Postwright",
        version=__version__,
        description=_ABOUT,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        components=Components(security_schemes=schemes),
        security=[{"key": []}, {"bearer": []}],
        use_handler_docstrings=True,
        render_plugins=[JsonRenderPlugin()],  # the others load programs from elsewhere
        openapi_router=Router("/api/v1/schema", route_handlers=[], include_in_schema=False, opt={"scope": "read"}),
    )
