"""Mail that comes without a session (a pickup file, a request over HTTP), judged by the very rules of one that comes over SMTP.

An `Injector` is a `Visitor` whose client is a process of ours: it has no listener and nothing to greet, its source settings are those of a
named source (`{pickup}`, `{api}`, `{transmissions-api}`), and whoever could hand in mail that way may have it relayed, as a login may
(unless the source says `always-allow-relaying no`). SPF and iprev, which speak of hosts, are not asked of it. What it may say of a message
beside (virtual MTA, job, times) it may say as if the source had each `process-x-*`, where `Origin.says` has it so.

It decides nothing by itself, stores nothing and raises nothing that a `Visitor` does not.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from postwright.content.authres import Result
from postwright.engine.bound_user import bound
from postwright.engine.submission import Submissions
from postwright.engine.visitor import STOPPING, Host, Visitor
from postwright.model.envelope import Envelope
from postwright.model.message import Arrival, ContentFacts
from postwright.net.visit import Answer, PeerFacts
from postwright.policy.settings import ListenerSettings, SourceSettings, UserSettings
from postwright.wire.events import MailFrom
from postwright.wire.options import Offers, ServerOptions

PICKUP = "{pickup}"
API = "{api}"
TRANSMISSIONS = "{transmissions-api}"

_NOBODY = ListenerSettings(address="", port=0)


class Origin(Struct, frozen=True):
    """Where a message comes from. `kind` is srcType ("pickup", "api"); `source` the named source; `peer` the HTTP client's address or "".

    `name` is how we call it in Received and srcMta. `says`: x-virtual-mta, x-job, x-envid and x-schedule count whatever the source's
    `process-*` are. `bounces`: recipients that must not be sent to are taken and bounced (`accept-invalid-recipients`). `who`: whom records
    name as the one who handed it in, where there is no user.
    """

    kind: str
    source: str
    peer: str = ""
    name: str = ""
    says: bool = False
    bounces: bool = False
    who: str = ""


class Injector(Visitor):
    """One transaction of `origin`; `user` is the one whose rights and limits count, None for nobody's."""

    __slots__ = ("_offered", "_origin", "_stored_by")

    def __init__(self, intake: Host, origin: Origin, user: UserSettings | None = None, stored_by: Submissions | None = None) -> None:
        self._origin = origin
        self._stored_by = stored_by
        super().__init__(intake, _NOBODY, PeerFacts(origin.peer, 0, "", 0))
        self._name = origin.name
        if user is not None:
            self._user, self._user_source = user.name, user.source
            self._bound = bound(user, intake.boards)
            self._refresh()

    def _refresh(self) -> None:
        epoch = self._epoch = self._intake.epoch
        plain = epoch.resolved.source("", self._origin.source, self._user, self._user_source)
        key = (id(plain), self._origin.says, self._origin.bounces)
        found = epoch.injecting.get(key)
        if found is None:
            source = _trusting(plain, self._origin)
            options = self._intake.options(epoch, source, self._listener, self._peer, True)
            found = epoch.injecting[key] = source, _all_but_the_connections(options, source)
        self._source, self._offered = found
        self._rules = epoch.addressing.rules(self._source)
        self._arrival = None

    def options(self) -> ServerOptions:
        return self._offered

    def mail(self, event: MailFrom) -> Answer:
        if self._intake.stopping:
            return STOPPING
        return self._begin(event)

    def _take(
        self, envelope: Envelope, arrival: Arrival, content: bytes, facts: ContentFacts, checks: tuple[Result, ...],
        stored_by: Submissions | None = None,
    ) -> Answer:  # fmt: skip
        return super()._take(envelope, arrival, content, facts, checks, stored_by or self._stored_by)

    def _arrive(self) -> Arrival:
        origin = self._origin
        arrival = self._arrival = Arrival(origin.kind, origin.peer, 0, origin.name, protocol="", user=self._user or origin.who)
        return arrival


def _all_but_the_connections(options: ServerOptions, source: SourceSettings) -> ServerOptions:
    """What may be asked in a dialogue that is there already: everything but what belongs to a connection."""
    return replace(
        options,
        auth=(),
        auth_by_tls=(),
        starttls=False,
        hang_up=False,
        bare="repair",
        limits=replace(options.limits, errors=None, junk=None, mails=None),
        offers=Offers(requiretls=True, hold=int(source.max_future_release), deliverby=True, mt_priority=True, verp=True, merge=True),
    )


def _trusting(source: SourceSettings, origin: Origin) -> SourceSettings:
    """The source as it counts for who may hand in mail this way; made once per source and epoch, which keeps it."""
    changes: dict[str, object] = {}
    if source.always_allow_relaying is not False:
        changes |= {"always_allow_relaying": True, "require_auth": False}
    if origin.says:
        changes |= dict.fromkeys(("process_x_virtual_mta", "process_x_job", "process_x_envid", "process_x_schedule"), True)
    if origin.bounces:
        changes["accept_invalid_recipients"] = True
    return replace(source, **changes)
