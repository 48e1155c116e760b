"""The settings tree: what a configuration came to, as frozen plain values. No text, no patterns compiled, no look-ups.

A field is named as its directive with `_` for `-`. Times are float seconds, sizes int octets, counts int; `None` means
unlimited or never. Values of domain and source scope are kept as *assignments* (directive -> value and origin) and merged by
`policy.resolve` into `DomainSettings` and `SourceSettings`, whose defaults are PowerMTA's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from postwright.model.masked import masked
from postwright.policy.domain_settings import OUTBOUND_MECHANISMS, DomainSettings, Rate
from postwright.policy.event_settings import STREAM_SCHEMES as EVENT_STREAM_SCHEMES
from postwright.policy.event_settings import EventSettings, EventStream
from postwright.policy.list_settings import (
    BOUNCE_CATEGORIES,
    AddressList,
    CategoryRule,
    DomainKey,
    FilePassword,
    HttpAccess,
    Origin,
    ReplyAction,
    ReplyRule,
    RewriteRule,
    RollupRule,
    SubmissionResult,
    SubmissionRule,
)
from postwright.policy.lookup_settings import REPLIES as LOOKUP_REPLIES
from postwright.policy.lookup_settings import UserLookup
from postwright.policy.oauth import ALGORITHMS as OAUTH_ALGORITHMS
from postwright.policy.oauth import OauthProvider
from postwright.policy.oauth_client import CLIENT_AUTHENTICATION as OAUTH_CLIENT_AUTHENTICATION
from postwright.policy.oauth_client import OauthClient
from postwright.policy.service_settings import (
    AcctFileSettings,
    Alias,
    ApiListener,
    ApiSettings,
    DnsSettings,
    EmailPatterns,
    HttpSettings,
    ProcessorSettings,
    ProxyClient,
    ProxySettings,
    ProxySourceRule,
    SourceGroup,
    SpoolSettings,
    VaultSettings,
)

# given on to those who may import no more of policy than this module
__all__ = [
    "BOUNCE_CATEGORIES",
    "OAUTH_ALGORITHMS",
    "OAUTH_CLIENT_AUTHENTICATION",
    "OUTBOUND_MECHANISMS",
    "AcctFileSettings",
    "AddressList",
    "Alias",
    "ApiListener",
    "ApiSettings",
    "CategoryRule",
    "DnsSettings",
    "DomainKey",
    "DomainSettings",
    "EVENT_STREAM_SCHEMES",
    "EmailPatterns",
    "EventSettings",
    "EventStream",
    "FilePassword",
    "HttpAccess",
    "HttpSettings",
    "OauthClient",
    "OauthProvider",
    "Origin",
    "ProcessorSettings",
    "ProxyClient",
    "ProxySettings",
    "ProxySourceRule",
    "Rate",
    "ReplyAction",
    "ReplyRule",
    "RewriteRule",
    "RollupRule",
    "SourceGroup",
    "SpoolSettings",
    "SubmissionResult",
    "SubmissionRule",
    "LOOKUP_REPLIES",
    "UserLookup",
    "VaultSettings",
]


class Assignment(Struct, frozen=True):
    """One directive as it was written; `value` is of the field's type."""

    value: Any
    origin: Origin

    def __repr__(self) -> str:
        return f"Assignment({self.origin})"  # the value may be somebody's password


Scope = dict[str, Assignment]


class GeneralSettings(Struct, frozen=True):
    """Global directives."""

    host_name: tuple[str, ...] = ()
    postmaster: tuple[str, ...] = ()
    bounce_category_shadow: str = ""
    host_id: int = 0
    domain_suffix: str = ""
    log_file: str = ""
    log_auto_rotation: bool = True
    log_rotate: int = 8
    log_file_world_readable: bool = False
    log_format: str = "json"
    run_as_root: bool = True
    total_max_smtp_out: int | None = 1200
    total_max_smtp_in: int | None = 100
    max_smtp_in_per_address: int | None = None
    smtp_await_slot: bool = False
    relay_debug: bool = False
    name_server: tuple[str, ...] = ()
    edns_udp_length: int = 0
    smtp_ip: str = ""
    smtp_port: int = 25
    spool_max_recipients: int | None = None
    spool_min_free_space: int = 0
    spool_delete_corrupted: bool = False
    smtp_server_tls_certificate: str = ""
    smtp_server_tls_certificate_password: str = ""
    smtp_server_tls_sni_certificate: tuple[FilePassword, ...] = ()
    smtp_server_tls_ca_file: str = ""
    smtp_server_tls_allow_tlsv1: bool = False
    smtp_server_tls_allow_tlsv1_1: bool = False
    smtp_server_tls_allow_tlsv1_2: bool = True
    smtp_server_tls_allow_tlsv1_3: bool = True
    smtp_server_tls_ciphers: str = "HIGH:!ADH:@STRENGTH"
    smtp_server_tls_v1_3_ciphersuites: str = ""
    smtp_server_tls_dh_key_length: int = 1024
    invalid_virtual_mta_fallback: str = ""
    max_memory_usage_percent: int = 90
    track_time_first_attempt: bool = False
    custom_dsn_from_header: str = ""
    dsn_failed_from_template: str = ""
    dsn_failed_subject_template: str = ""
    dsn_failed_body_template_from: str = ""
    mailmerge_expands_undefined_variables: bool = True
    include_headers_from: str = ""
    pickup_remove_dot: bool = False
    mx_rollup_discovered: tuple[str, ...] = ()
    allow_open_relay: bool = False
    allow_unsafe_spool: bool = False
    sync_msg_create: bool = True
    sync_msg_update: bool = True
    vmta_domain_precedence: str = "virtual-mta"
    pam_service: str = "smtp"
    users_file: tuple[str, ...] = ()
    auth_failures_per_user: int | None = 10
    auth_lock_time: float = 900.0
    ntlm_domain: str = ""
    kerberos_keytab: str = ""
    kerberos_service: str = "smtp"
    kerberos_realms: tuple[str, ...] = ()
    tlsrpt: bool = False
    tlsrpt_from: str = ""
    tlsrpt_contact: str = ""
    tlsrpt_organization: str = ""
    fair_share_weight: tuple[tuple[str, int], ...] = ()
    suppress_bounces: tuple[str, ...] = ()
    suppress_bounces_for: float | None = None
    suppress_complaints: bool = False
    suppression_scope: str = "global"
    suppression_hash: bool = False

    def __repr__(self) -> str:
        return masked(self, "smtp_server_tls_certificate_password")


class ListenerSettings(Struct, frozen=True):
    """`smtp-listener`, either form. TLS fields that are empty or None inherit from the `smtp-server-tls-*` directives."""

    address: str
    port: int = 25
    source: str = ""
    await_slot: bool = False
    proxy_protocol_from: tuple[str, ...] = ()
    protocol: str = "smtp"
    immediate_tls: bool = False
    tls_certificate: str = ""
    tls_certificate_password: str = ""
    tls_sni_certificate: tuple[FilePassword, ...] = ()
    tls_ca_file: str = ""
    tls_allow_tlsv1: bool | None = None
    tls_allow_tlsv1_1: bool | None = None
    tls_allow_tlsv1_2: bool | None = None
    tls_allow_tlsv1_3: bool | None = None
    tls_ciphers: str = ""
    tls_tlsv1_3_ciphersuites: str = ""
    origin: Origin = Origin()

    def __repr__(self) -> str:
        return masked(self, "tls_certificate_password")


class UserSettings(Struct, frozen=True):
    """`<smtp-user NAME>`. The password never shows in a repr."""

    name: str
    password: str = ""
    authentication_method: str = "password"
    source: str = ""
    tls_certificate: str = ""
    sender: tuple[str, ...] = ()
    check_from_header: bool = False
    virtual_mta: tuple[str, ...] = ()
    max_msg_rate: Rate | None = None
    daily_limit: int | None = None
    network: tuple[str, ...] = ()
    latency_class: str = ""
    share_weight: int | None = None
    origin: Origin = Origin()

    def __repr__(self) -> str:
        return f"UserSettings({self.name!r}, source={self.source!r})"


class SourceSettings(Struct, frozen=True):
    """What holds for one inbound session (S directives). `always_allow_relaying` None: not said (a login may then relay)."""

    always_allow_relaying: bool | None = None
    require_auth: bool = False
    allow_auth: bool = True
    allow_unencrypted_plain_auth: bool = False
    allow_starttls: bool = False
    require_starttls_before_auth: bool = False
    auth_mechanisms: tuple[str, ...] = ()
    smtp_service: bool = True
    max_message_size: int | None = None
    max_message_hops: int = 100
    max_rcpt_per_message: int | None = None
    too_many_rcpts_fails_message: bool = False
    add_received_header: bool = True
    hide_message_source: bool = False
    add_message_id_header: bool = False
    add_date_header: str = "no"
    date_header_time: str = "reception"
    remove_received_headers: bool = False
    remove_header: tuple[str, ...] = ()
    process_x_virtual_mta: bool = False
    retain_x_virtual_mta: bool = False
    add_x_virtual_mta_header: bool = False
    allow_empty_x_virtual_mta: bool = False
    reject_invalid_virtual_mta: bool = True
    default_virtual_mta: str = ""
    process_x_job: bool = False
    retain_x_job: bool = False
    jobid_header: str = ""
    jobid_prefix: str = ""
    process_x_envid: bool = False
    process_x_dkim_options: bool = False
    retain_x_dkim_options: bool = False
    process_x_dkim_key: bool = False
    retain_x_dkim_key: bool = False
    process_x_schedule: bool = False
    retain_x_schedule: bool = False
    bare_line_ends: str = "refuse"
    smtp_extensions: tuple[str, ...] = ("auto",)
    max_future_release: float = 604800.0
    max_msg_per_session: int | None = None
    max_rcpt_domains_per_message: int | None = None
    smtp_command_timeout: float = 600.0
    smtp_data_timeout: float = 600.0
    allow_chunking: bool = True
    allow_smtputf8: bool = True
    allow_mailmerge: bool = False
    always_allow_api_submission: bool = False
    suppress_local_dsn: bool = False
    dsn_return_default: str = "system"
    smtp_max_auth_failure_rate: Rate | None = None
    auth_failures_per_network: int | None = 20
    auth_failure_delay: float = 1.0
    disconnect_on_transient_error: bool = False
    accept_invalid_recipients: bool = False
    auto_qualify_domain: bool = True
    verp_default: bool = False
    signed_return_path: str = ""
    bcc: str = ""
    pattern_list: str = ""
    latency_class: str = "normal"
    rewrite_list: str = ""
    source_group: str = ""
    max_connect_rate_in: Rate | None = None
    max_message_rate_in: Rate | None = None
    max_rcpt_rate_in: Rate | None = None
    early_talker_delay: float = 0.0
    max_smtp_errors: int | None = 20
    max_junk_commands: int | None = 100
    min_data_rate: int | None = 100
    smtp_message_timeout: float | None = 3600.0
    allow_xclient: bool = False
    suppression_lists: tuple[str, ...] = ()
    log_connections: bool = False
    log_commands: bool = False
    log_data: bool = False
    log_tls: bool = False
    check_dkim_inbound: bool = False
    trace_dkim_check: bool = False
    check_arc_inbound: bool = False
    check_dmarc_inbound: bool = False
    dmarc_tree_walk: bool = False
    reject_dmarc_check_fail: bool = False
    sender_rules: str = "off"
    sender_rules_bulk: str = "job"
    sender_rules_except: tuple[str, ...] = ()
    check_spf_inbound: bool = False
    trace_spf_check: bool = False
    check_spf_inbound_max_void_lookups: int = 2
    check_mfrom_inbound: bool = False
    check_iprev_inbound: bool = False
    trace_iprev_check: bool = False
    reject_iprev_check_temperror: bool = False
    reject_iprev_check_permerror: bool = False
    reject_iprev_check_fail: bool = False
    reject_spf_check_temperror: bool = True
    reject_spf_check_permerror: bool = True
    reject_spf_check_fail: bool = True


class SourceHostRule(Struct, frozen=True):
    """`smtp-source-host IP-or-CIDR HOSTNAME`."""

    network: str
    name: str


class DomainBlock(Struct, frozen=True):
    """`<domain PATTERN>`: assignments as written. `pattern` lower case: `*`, `a.b`, `*.a.b`, `[*.]a.b`, `[ip/mask]`.

    `by_macro`: the pattern came out of a domain macro; a domain written by name wins over it, wherever it stands.
    """

    pattern: str
    assignments: Scope
    by_macro: bool = False


class VmtaSettings(Struct, frozen=True):
    """`<virtual-mta NAME>`; V directives."""

    name: str
    smtp_source_host: tuple[SourceHostRule, ...] = ()
    smtp_proxy_source_host: tuple[ProxySourceRule, ...] = ()
    proxy_protocol: str = "1"
    use_proxy: tuple[str, ...] = ()
    host_name: tuple[str, ...] = ()
    domain_keys: tuple[DomainKey, ...] = ()
    include_headers_from: str = ""
    rewrite_list: str = ""
    max_smtp_out: int | None = None
    max_smtp_msg_rate: Rate | None = None
    max_smtp_data_volume_rate: Rate | None = None
    cold_virtual_mta: tuple[str, ...] = ()
    domains: tuple[DomainBlock, ...] = ()
    pools: tuple[str, ...] = ()
    origin: Origin = Origin()


class PoolSettings(Struct, frozen=True):
    """`<virtual-mta-pool NAME>`: members in order."""

    name: str
    members: tuple[str, ...] = ()
    domain_keys: tuple[DomainKey, ...] = ()
    include_headers_from: str = ""
    rewrite_list: str = ""
    cold_virtual_mta: tuple[str, ...] = ()
    max_smtp_out: int | None = None
    max_smtp_msg_rate: Rate | None = None
    max_smtp_data_volume_rate: Rate | None = None
    domains: tuple[DomainBlock, ...] = ()
    origin: Origin = Origin()


class SourceBlock(Struct, frozen=True):
    """`<source X>`: `network` a canonical CIDR for address sources, "" for named ones (then `name`)."""

    network: str
    name: str
    assignments: Scope
    origin: Origin = Origin()


class Settings(Struct, frozen=True):
    """One generation (`epoch`) of the whole configuration. Dictionaries go by the name in lower case.

    `lines`: where a plain value was written, by its block ("" in the open, `virtual-mta NAME` in lower case) and field.
    """

    general: GeneralSettings = GeneralSettings()
    listeners: tuple[ListenerSettings, ...] = ()
    users: dict[str, UserSettings] = {}
    user_lookup: UserLookup | None = None
    oauth_providers: tuple[OauthProvider, ...] = ()
    oauth_clients: dict[str, OauthClient] = {}
    events: EventSettings = EventSettings()
    event_streams: dict[str, EventStream] = {}
    sources: tuple[SourceBlock, ...] = ()
    relay_domains: tuple[str, ...] = ()
    relay_addresses: tuple[str, ...] = ()
    smtp_source_host: tuple[SourceHostRule, ...] = ()
    domains: tuple[DomainBlock, ...] = ()
    vmtas: dict[str, VmtaSettings] = {}
    pools: dict[str, PoolSettings] = {}
    spools: tuple[SpoolSettings, ...] = ()
    acct_files: tuple[AcctFileSettings, ...] = ()
    http_access: tuple[HttpAccess, ...] = ()
    macros: dict[str, tuple[str, ...]] = {}
    http: HttpSettings = HttpSettings()
    pickup: tuple[str, str] = ("", "")
    aliases: tuple[Alias, ...] = ()
    smtp_proxy_source_host: tuple[ProxySourceRule, ...] = ()
    use_proxy: tuple[str, ...] = ()
    mx_connection_limit: tuple[tuple[str, int | None], ...] = ()
    ip_connection_limit: tuple[tuple[str, int | None], ...] = ()
    domain_keys: tuple[DomainKey, ...] = ()
    domain_key_lists: dict[str, tuple[DomainKey, ...]] = {}
    pattern_lists: dict[str, tuple[SubmissionRule, ...]] = {}
    smtp_pattern_lists: dict[str, tuple[ReplyRule, ...]] = {}
    bounce_categories: tuple[CategoryRule, ...] | None = None
    mx_rollups: tuple[RollupRule, ...] = ()
    rewrite_lists: dict[str, tuple[RewriteRule, ...]] = {}
    address_lists: dict[str, AddressList] = {}
    source_groups: dict[str, SourceGroup] = {}
    bounce_processor: ProcessorSettings | None = None
    feedback_loop_processor: ProcessorSettings | None = None
    dns: DnsSettings = DnsSettings()
    proxies: dict[str, ProxySettings] = {}
    vault: VaultSettings | None = None
    transmissions_api: ApiSettings | None = None
    transmissions_api_listeners: tuple[ApiListener, ...] = ()
    lines: dict[tuple[str, str], Origin] = {}
    epoch: int = 0
    file: str = ""

    def domain_blocks(self) -> Iterator[DomainBlock]:
        """Every `<domain>` block, wherever it stands: in the open, then within virtual MTAs, then within pools."""
        yield from self.domains
        for vmta in self.vmtas.values():
            yield from vmta.domains
        for pool in self.pools.values():
            yield from pool.domains
