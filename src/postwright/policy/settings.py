"""The settings tree: what a configuration came to, as frozen plain values. No text, no patterns compiled, no look-ups.

A field is named as its directive with `_` for `-`. Times are float seconds, sizes int octets, counts int; `None` means
unlimited or never. Values of domain and source scope are kept as *assignments* (directive -> value and origin) and merged by
`policy.resolve` into `DomainSettings` and `SourceSettings`, whose defaults are PowerMTA's.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from postwright.policy.list_settings import (
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
from postwright.policy.oauth import ALGORITHMS as OAUTH_ALGORITHMS
from postwright.policy.oauth import OauthProvider
from postwright.policy.service_settings import (
    AcctFileSettings,
    Alias,
    ApiListener,
    ApiSettings,
    DnsSettings,
    EmailPatterns,
    HttpSettings,
    ProcessorSettings,
    ProxySettings,
    SourceGroup,
    SpoolSettings,
    VaultSettings,
)

# given on to those who may import no more of policy than this module
__all__ = [
    "OAUTH_ALGORITHMS",
    "AcctFileSettings",
    "AddressList",
    "Alias",
    "ApiListener",
    "ApiSettings",
    "CategoryRule",
    "DnsSettings",
    "DomainKey",
    "EmailPatterns",
    "FilePassword",
    "HttpAccess",
    "HttpSettings",
    "OauthProvider",
    "Origin",
    "ProcessorSettings",
    "ProxySettings",
    "ReplyAction",
    "ReplyRule",
    "RewriteRule",
    "RollupRule",
    "SourceGroup",
    "SpoolSettings",
    "SubmissionResult",
    "SubmissionRule",
    "VaultSettings",
]


class Rate(Struct, frozen=True, gc=False):
    """`count` per `interval` seconds (PowerMTA's RATE, and DATA RATE with count in octets)."""

    count: int
    interval: float


class Assignment(Struct, frozen=True):
    """One directive as it was written; `value` is of the field's type."""

    value: Any
    origin: Origin


Scope = dict[str, Assignment]


class GeneralSettings(Struct, frozen=True):
    """Global directives."""

    host_name: tuple[str, ...] = ()
    postmaster: tuple[str, ...] = ()
    host_id: int = 0
    domain_suffix: str = ""
    log_file: str = ""
    log_auto_rotation: bool = True
    log_rotate: int = 8
    log_file_world_readable: bool = False
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
    allow_open_relay: bool = False
    allow_unsafe_spool: bool = False
    sync_msg_create: bool = True
    sync_msg_update: bool = True
    vmta_domain_precedence: str = "virtual-mta"
    pam_service: str = "smtp"


class ListenerSettings(Struct, frozen=True):
    """`smtp-listener`, either form. TLS fields that are empty or None inherit from the `smtp-server-tls-*` directives."""

    address: str
    port: int = 25
    source: str = ""
    await_slot: bool = False
    immediate_tls: bool = False
    tls_certificate: str = ""
    tls_certificate_password: str = ""
    tls_ca_file: str = ""
    tls_sni_certificate: tuple[FilePassword, ...] = ()
    tls_allow_tlsv1: bool | None = None
    tls_allow_tlsv1_1: bool | None = None
    tls_allow_tlsv1_2: bool | None = None
    tls_allow_tlsv1_3: bool | None = None
    tls_ciphers: str = ""
    tls_tlsv1_3_ciphersuites: str = ""
    origin: Origin = Origin()


class UserSettings(Struct, frozen=True):
    """`<smtp-user NAME>`. The password never shows in a repr."""

    name: str
    password: str = ""
    authentication_method: str = "password"
    source: str = ""
    tls_certificate: str = ""
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
    smtp_command_timeout: float = 600.0
    smtp_data_timeout: float = 600.0
    allow_chunking: bool = True
    allow_smtputf8: bool = True
    allow_mailmerge: bool = False
    always_allow_api_submission: bool = False
    suppress_local_dsn: bool = False
    dsn_return_default: str = "system"
    smtp_max_auth_failure_rate: Rate | None = None
    disconnect_on_transient_error: bool = False
    accept_invalid_recipients: bool = False
    auto_qualify_domain: bool = True
    verp_default: bool = False
    bcc: str = ""
    pattern_list: str = ""
    rewrite_list: str = ""
    source_group: str = ""
    suppression_lists: tuple[str, ...] = ()
    log_connections: bool = False
    log_commands: bool = False
    log_data: bool = False
    log_tls: bool = False
    check_dkim_inbound: bool = False
    trace_dkim_check: bool = False
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


class DomainSettings(Struct, frozen=True):
    """What holds for one queue (D directives); defaults as powermta.md says, 2.2 decided there."""

    type: str = "smtp"
    max_smtp_out: int | None = 20
    backoff_max_smtp_out: int | None = 20
    max_msg_rate: Rate | None = None
    backoff_max_msg_rate: Rate | None = None
    max_data_volume_rate: Rate | None = None
    backoff_max_data_volume_rate: Rate | None = None
    max_connect_rate: Rate | None = None
    backoff_max_connect_rate: Rate | None = None
    smtp_out_rampup_interval: float = 0.0
    max_smtp_out_per_source_ip: int | None = None
    source_ip_max_smtp_out: tuple[tuple[str, int | None], ...] = ()
    source_ip_max_connect_rate: tuple[tuple[str, Rate | None], ...] = ()
    source_ip_max_msg_rate: tuple[tuple[str, Rate | None], ...] = ()
    source_ip_max_data_volume_rate: tuple[tuple[str, Rate | None], ...] = ()
    max_cold_virtual_mta_msg: tuple[Rate | None, ...] = ()
    max_msg_per_connection: int | None = None
    max_errors_per_connection: int | None = None
    max_rcpt_per_message: int | None = 1000
    connection_idle_timeout: float = 0.0
    retry_after: tuple[float, ...] = (600.0,)
    backoff_retry_after: tuple[float, ...] = (3600.0,)
    retry_recipients_after: float | None = None
    retry_after_dns_error: float = 60.0
    retry_upon_new_mail: bool = False
    bounce_after: float = 388800.0
    bounce_upon_no_mx: bool | float | None = False
    bounce_upon_5xx_greeting: bool = True
    bounce_upon_transfer_failure: bool = False
    bounce_upon_pix_transfer_failure: bool = False
    pix_bug_workaround: bool = True
    assume_delivery_upon_data_termination_timeout: bool = False
    smtp_553_means_invalid_mailbox: bool = True
    smtp_421_means_mx_unavailable: bool = False
    replace_smtp_421_service_response: bool = False
    smtp_greeting_timeout: float = 300.0
    connect_timeout: float = 120.0
    data_send_timeout: float = 180.0
    smtp_data_termination_timeout: float = 600.0
    smtp_multiple_line_response_timeout: float = 300.0
    mx_connection_attempts: int = 10
    smtp_hosts: str = ""
    default_smtp_port: int = 25
    use_starttls: bool = True
    require_starttls: bool = False
    use_dane: bool = False
    use_mta_sts: bool = False
    reuse_ssl_session: bool = False
    ignore_8bitmime: bool = False
    ignore_chunking: bool = False
    ignore_pipelining: bool = False
    ignore_dsn: bool = False
    auth_username: str = ""
    auth_password: str = ""
    use_unencrypted_plain_auth: bool = False
    allow_cancel_during_transfer: bool = True
    notify_of_delay_every: float | None = 14400.0
    dsn_format: str = "standard"
    deliver_local_dsn: bool = True
    queue_to: str = ""
    queue_priority: int = 50
    allow_priority_interruption: bool = True
    allow_priority_interruption_during_transfer: bool = False
    remove_header: tuple[str, ...] = ()
    bcc_upon_delivery: str = ""
    disable_acct_records: tuple[str, ...] = ()
    max_events_recorded: int = 10
    track_recipient_events: bool = False
    log_connections: bool = False
    log_commands: bool = False
    log_data: bool = False
    log_tls: bool = False
    log_resolution: bool = False
    log_transfer_failures: bool = False
    log_disabled_ips: bool = False
    log_messages: bool = False
    smtp_pattern_list: str = ""
    backoff_notify: tuple[str, ...] = ()
    disabled_source_ip_notify: tuple[str, ...] = ()
    backoff_to_normal_after: float | None = None
    backoff_to_normal_after_delivery: bool = False
    backoff_upon_all_sources_disabled: bool = False
    reenable_source_ip_after: float | None = None
    reroute_to_virtual_mta: str = ""
    backoff_reroute_to_virtual_mta: str = ""
    disable_mx_rollup: bool = False
    discard_as_bounce: bool = False
    file_format: str = "newfile-plain"
    file_destination: str = ""
    command: str = ""
    macro_variables_preserve_case: bool = False
    http_delivery_url: str = ""
    http_delivery_extra_headers: str = ""
    smtp_tls_allow_tlsv1: bool = False
    smtp_tls_allow_tlsv1_1: bool = True
    smtp_tls_allow_tlsv1_2: bool = True
    smtp_tls_allow_tlsv1_3: bool = True
    smtp_tls_ciphers: str = ""
    smtp_tls_tlsv1_3_ciphersuites: str = ""
    smtp_tls_ca_file: str = ""
    smtp_client_certificate: str = ""
    smtp_client_certificate_password: str = ""
    check_spf_outbound: bool = False
    dkim_sign: str = "no"
    dkim_algorithm: str = "rsa-sha256"
    dkim_body_canon: str = "relaxed"
    dkim_headers_canon: str = "relaxed"
    dkim_identity: str = "sender-or-from"
    dkim_identity_fallback: str = ""
    dkim_headers: tuple[str, ...] = ()
    dkim_add_body_limit: bool = False
    dkim_add_timestamp: bool = False
    dkim_expire_after: float | None = None
    dkim_query_method: str = ""
    dkim_disallow_adding_headers: tuple[str, ...] = ()
    second_dkim_sign: str = "no"
    second_dkim_algorithm: str = "rsa-sha256"
    second_dkim_body_canon: str = "relaxed"
    second_dkim_headers_canon: str = "relaxed"
    second_dkim_identity: str = "sender-or-from"
    second_dkim_identity_fallback: str = ""
    second_dkim_headers: tuple[str, ...] = ()
    second_dkim_add_body_limit: bool = False
    second_dkim_add_timestamp: bool = False
    second_dkim_expire_after: float | None = None
    second_dkim_query_method: str = ""
    second_dkim_disallow_adding_headers: tuple[str, ...] = ()


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
    smtp_proxy_source_host: tuple[str, ...] = ()
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
    """One generation (`epoch`) of the whole configuration. Dictionaries go by the name in lower case."""

    general: GeneralSettings = GeneralSettings()
    listeners: tuple[ListenerSettings, ...] = ()
    users: dict[str, UserSettings] = {}
    oauth_providers: tuple[OauthProvider, ...] = ()
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
    smtp_proxy_source_host: tuple[str, ...] = ()
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
    epoch: int = 0
    file: str = ""
