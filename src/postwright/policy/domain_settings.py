"""The settings of one queue, and the rate that they share with the others. See `policy.settings`, which gives them on.

Frozen plain values; a field is named as its directive.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from postwright.model.masked import masked

# by their names in the registry of SASL; a test holds them to what `wire.client_mechanisms` can do
OUTBOUND_MECHANISMS: Final = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5",
                              "XOAUTH2", "OAUTHBEARER", "EXTERNAL")  # fmt: skip


class Rate(Struct, frozen=True, gc=False):
    """`count` per `interval` seconds (PowerMTA's RATE, and DATA RATE with count in octets)."""

    count: int
    interval: float


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
    auth_mechanism: str = ""
    auth_oauth_client: str = ""
    auth_verify_tls: str = "auto"
    smtp_implicit_tls: str = "auto"
    allow_cancel_during_transfer: bool = True
    notify_of_delay_every: float | None = 14400.0
    dsn_format: str = "standard"
    deliver_local_dsn: bool = True
    queue_to: str = ""
    queue_priority: int = 50
    fair_share_by: str = "job"
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
    arc_seal: bool = False
    arc_seal_identity: str = ""
    signing_failure: str = "defer"

    def __repr__(self) -> str:
        return masked(self, "auth_password", "smtp_client_certificate_password")
