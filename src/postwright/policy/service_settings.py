"""What the relay's services beside mail itself are told: accounting files, monitor, processors of reports, DNS cache, proxies, vault, API.

Plain frozen values, like all of `policy.settings`, which gives these names on. Times are float seconds, sizes int octets; None means never
or unlimited; no repr shows a secret.
"""

from __future__ import annotations

from msgspec import Struct

from postwright.model.masked import masked
from postwright.model.privacy import Privacy
from postwright.policy.domain_settings import Rate
from postwright.policy.list_settings import AddressList, Origin


class AcctFileSettings(Struct, frozen=True):
    """`<acct-file FILE>`; A directives. `records` short names; `record_fields` per short name, as written."""

    path: str
    records: tuple[str, ...] = ("d", "b")
    record_fields: dict[str, tuple[str, ...]] = {}
    map_header_to_field: tuple[tuple[str, str, str], ...] = ()  # (short type, header_X, field), in order
    max_size: int = 250 * 1024 * 1024
    delete_after: float | None = 8 * 86400.0
    move_to: str = ""
    move_interval: float = 86400.0
    iso_times: bool = True
    world_readable: bool = False
    sync: bool = False
    user_string: str = ""
    queue_filter: tuple[str, ...] = ()
    retry_interval: float = 300.0
    write_timeout: float = 60.0
    count_moved_records: bool = False
    privacy_policy: Privacy | None = None
    http_webhook_url: str = ""
    http_webhook_extra_headers: str = ""
    http_webhook_certificate: str = ""
    http_webhook_ca_file: str = ""
    http_webhook_max_interval: float = 300.0
    http_webhook_transfer_encoding: str = "none"
    http_webhook_log_verbose: bool = False
    http_webhook_connect_timeout: float = 5.0
    http_webhook_io_timeout: float = 5.0
    http_webhook_secret: tuple[str, ...] = ()
    origin: Origin = Origin()

    def __repr__(self) -> str:
        return masked(self, "http_webhook_secret")


class SpoolSettings(Struct, frozen=True):
    """`<spool DIR>`."""

    path: str
    priority: int = 1
    deliver_only: bool = False
    min_free_space: int = 0
    delete_file_holders: bool = False
    origin: Origin = Origin()


class HttpSettings(Struct, frozen=True):
    """The web monitor: `http-*` but for `http-access`."""

    http_mgmt_port: int = 8080
    http_mgmt_address: tuple[str, ...] = ()
    http_redirect_to_https: bool = True
    http_csrf_protection: bool = True
    http_api_key: tuple[str, ...] = ()
    http_strict_transport_security_max_age: int = 0
    http_mgmt_source: tuple[str, ...] = ()
    no_http_mgmt_source: tuple[str, ...] = ()
    http_default_max_items: int = 10
    http_default_sort_order: str = "rcpt"
    http_log_requests: bool = False
    http_log_data: bool = False
    http_log_tls: bool = False
    http_tls_allow_tlsv1: bool = False
    http_tls_allow_tlsv1_1: bool = False
    http_tls_allow_tlsv1_2: bool = True
    http_tls_allow_tlsv1_3: bool = True
    http_tls_ciphers: str = "HIGH:!ADH:@STRENGTH"
    http_tls_tlsv1_3_ciphersuites: str = ""
    http_tls_ca_file: str = ""
    http_tls_certificate: str = ""
    http_tls_certificate_password: str = ""

    def __repr__(self) -> str:
        return f"HttpSettings(port={self.http_mgmt_port})"


class SourceGroup(Struct, frozen=True):
    """`<source-group NAME>`: inbound slots that sources share."""

    name: str
    max_smtp_in: int | None = None
    reserved_smtp_in: int | None = 0


class Alias(Struct, frozen=True):
    """`alias ADDRESS TARGET[,TARGET…]`; a bare local part is one at our host names, `*@domain` all of a domain."""

    address: str
    targets: tuple[str, ...]
    origin: Origin = Origin()


class EmailPatterns(Struct, frozen=True):
    """`<email-patterns>` of a processor."""

    body_pattern_file: tuple[str, ...] = ()
    log_match_info: bool = False


class ProcessorSettings(Struct, frozen=True):
    """`<bounce-processor>` or `<feedback-loop-processor>`. `deliver_unmatched_email` None: yes unless `forward-unmatched-to`."""

    deliver_unmatched_email: bool | None = None
    deliver_matched_email: bool = False
    deliver_email: bool | None = None
    forward_unmatched_to: tuple[str, ...] = ()
    forward_errors_to: tuple[str, ...] = ()
    max_report_rate: Rate | None = Rate(500, 1.0)
    addresses: AddressList = AddressList()
    patterns: EmailPatterns | None = None
    origin: Origin = Origin()


class DnsSettings(Struct, frozen=True):
    """`<dns>`. `dnssec_validator` as written, "" for nothing; `validator` what came of it: libunbound, name-server, or "" for nobody."""

    precached_domains_file: str = ""
    precached_refresh_interval: float = 300.0
    precached_max_domains: int = 500
    stale_answers: float = 86400.0
    max_cached_names: int = 200_000
    dnssec_validator: str = ""
    trust_anchor_file: str = ""
    validator: str = ""


class ProxyClient(Struct, frozen=True):
    """`client IP[:PORT] HOSTNAME`: an address that a proxy sends from (port 0: any), and the name to say in EHLO."""

    address: str
    port: int
    name: str


class ProxySettings(Struct, frozen=True):
    """`<proxy NAME>`. `type` haproxy or socks5; `server` host and port."""

    name: str
    type: str = "haproxy"
    server: tuple[str, int] = ("", 0)
    client: tuple[ProxyClient, ...] = ()
    protocol_version: str = "1"
    auth_username: str = ""
    auth_password: str = ""

    def __repr__(self) -> str:
        return f"ProxySettings({self.name!r})"


class ProxySourceRule(Struct, frozen=True):
    """`smtp-proxy-source-host LOCALIP-or-CIDR PROXY:PORT CLIENTIP[:PORT] HOSTNAME`; `local` as a network."""

    local: str
    server: tuple[str, int]
    client: ProxyClient


class VaultSettings(Struct, frozen=True):
    """`<vault>`: where keys named `{vault}:/…` are."""

    server_url: str = ""
    access_token: str = ""
    cache_ttl: float = 86400.0

    def __repr__(self) -> str:
        return f"VaultSettings({self.server_url!r})"


class ApiSettings(Struct, frozen=True):
    """`<transmissions-api>`."""

    api_key: tuple[str, ...] = ()
    log_requests: bool = False
    log_data: bool = False
    log_tls: bool = False

    def __repr__(self) -> str:
        return f"ApiSettings({len(self.api_key)} keys)"


class ApiListener(Struct, frozen=True):
    """`<transmissions-api-listener IP:PORT>`."""

    address: str
    port: int
    tls_certificate: str = ""
    tls_certificate_password: str = ""
    tls_ca_file: str = ""
    tls_allow_tlsv1: bool = False
    tls_allow_tlsv1_1: bool = False
    tls_allow_tlsv1_2: bool = True
    tls_allow_tlsv1_3: bool = True
    tls_ciphers: str = ""
    tls_tlsv1_3_ciphersuites: str = ""
    origin: Origin = Origin()

    def __repr__(self) -> str:
        return f"ApiListener({self.address!r}, {self.port})"
