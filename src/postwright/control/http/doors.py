"""What is behind each listening socket of the HTTP process: the monitor with the API, or PowerMTA's transmissions API, each with its TLS.

Which is which is told by the address and port that the settings name. `apply` follows a reload: a socket that stays may get another
certificate. Raises nothing; a certificate that cannot be used is told in the log once, and its port then speaks no TLS.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from uvicorn.server import ServerState

from postwright.control.api.transmissions import Transmissions, listener_tls
from postwright.control.http.app import make_app
from postwright.control.http.front import Front
from postwright.control.http.site import Site
from postwright.control.http.speaker import Speaker, make_config
from postwright.control.http.swift import SwiftSpeaker
from postwright.policy.settings import ApiListener, Settings

Context = Callable[[], ssl.SSLContext]


class Doors:
    """Of one process; `state` is uvicorn's."""

    def __init__(self, site: Site, state: ServerState) -> None:
        self._site = site
        self._told = ""
        main, other = make_config(make_app(site)), make_config(Transmissions(site))
        self._main = Front(lambda gone: SwiftSpeaker(main, state, gone), lambda: self._try(lambda: site.tls.context()), site.log)
        self._other = other
        self._state = state
        self._contexts: dict[tuple[str, int], Context] = {}
        self._fronts: dict[tuple[str, int], Front] = {}
        self.apply(site.settings)

    def apply(self, settings: Settings) -> None:
        """These settings are in force."""
        self._main.log_tls = settings.http.http_log_tls
        self._contexts = {_place(one): listener_tls(settings, one, self._site) for one in settings.transmissions_api_listeners}
        for front in self._fronts.values():
            front.log_tls = settings.transmissions_api is not None and settings.transmissions_api.log_tls

    def front(self, sock: socket.socket) -> Front:
        """Who serves this socket."""
        place = tuple(sock.getsockname()[:2])
        if place not in self._contexts:
            return self._main
        if place not in self._fronts:
            context = self._context_of(place)
            self._fronts[place] = Front(lambda gone: Speaker(self._other, self._state, gone), context, self._site.log)
            self.apply(self._site.settings)
        return self._fronts[place]

    def _context_of(self, place: tuple[str, int]) -> Callable[[], ssl.SSLContext | None]:
        return lambda: self._try(self._contexts[place]) if place in self._contexts else None

    def _try(self, context: Context) -> ssl.SSLContext | None:
        try:
            return context()
        except (OSError, ValueError) as error:
            if str(error) != self._told:
                self._told = str(error)
                self._site.log.error("an HTTP port cannot speak TLS", error=str(error))
            return None


def _place(listener: ApiListener) -> tuple[str, int]:
    return listener.address, listener.port
