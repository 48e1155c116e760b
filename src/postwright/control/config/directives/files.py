"""Directives of `<spool>` and `<acct-file>`."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import no_effect, works

A = Scope.ACCT_FILE
SPOOL = Scope.SPOOL

_SPOOL: tuple[Directive, ...] = (
    works("priority", SPOOL, k.INTEGER_RANGE(1, 100), "The folder of the highest priority that is not full takes new messages", "1"),
    works("deliver-only", SPOOL, k.BOOL, "Take no new messages into this folder", "no"),
    works("min-free-space", SPOOL, k.SIZE, "Room kept free there: below it MAIL is answered 452", "0"),
    no_effect("delete-file-holders", SPOOL, k.BOOL, "Delete files kept for reuse", "no",
              reason="a segment of which nothing is wanted any more is always deleted"),
)  # fmt: skip

_ACCT: tuple[Directive, ...] = (
    works("records", A, k.RECORDS, "Types of records: d, b, t, tq, r, f, rb, rs, or their long names", "d,b"),
    works("record-fields", A, k.RECORD_FIELDS, "Columns of one type: names, * for the usual ones, !name to leave one out",
          "(the usual ones)", repeat=True),
    works("max-size", A, k.SIZE, "Octets after which a new file is begun", "250M"),
    works("delete-after", A, k.DAYS_OR_NEVER, "Days after which files are deleted (not when they are moved)", "8d"),
    works("move-to", A, k.DIRECTORY, "Folder that finished files are moved to"),
    works("move-interval", A, k.TIME, "How often a file is finished to be moved", "1d"),
    works("iso-times", A, k.BOOL, "Times as 2019-02-08 21:54:05+0000; no: seconds since 1970", "yes"),
    works("world-readable", A, k.BOOL, "Everybody on this machine may read the files", "no"),
    works("sync", A, k.BOOL, "Sync rows to disk as they are written", "no"),
    works("user-string", A, k.TEXT, "What stands in the column userString"),
    works("queue-filter", A, k.QUEUE_FILTER, "Queues whose d, b, t and tq records are wanted, ! for not; the first that fits decides"),
    works("map-header-to-field", A, k.HEADER_MAP, "Puts a header field of the message into a column, if the message has it", repeat=True),
    works("retry-interval", A, k.WAIT, "When a program that failed is started again (a reload does, too)", "5m"),
    works("write-timeout", A, k.WAIT, "How long a program may read nothing while rows wait for it", "1m"),
    works("count-moved-records", A, k.BOOL, "Log how many records a moved file has", "no"),
    works("privacy-policy", A, k.PRIVACY_POLICY, "How local parts of recipients' addresses are hidden", "retain"),
    works("http-webhook-url", A, k.URL, "Where batches of records are posted: CSV, or JSON if the file's name ends in .json"),
    works("http-webhook-extra-headers", A, k.FILE, "File of more HTTP header fields"),
    works("http-webhook-certificate", A, k.FILE, "PEM file with the certificate (and its key) that we show there"),
    works("http-webhook-ca-file", A, k.FILE, "Certification authorities that the server is checked against"),
    works("http-webhook-max-interval", A, k.WAIT, "Longest time between two batches (PowerMTA: at least 1m)", "5m"),
    works("http-webhook-transfer-encoding", A, k.CHOICE("gzip", "none"), "How a batch is compressed", "none"),
    works("http-webhook-log-verbose", A, k.BOOL, "Log each batch", "no"),
    works("http-webhook-connect-timeout", A, k.WAIT, "How long a connection may take to come up", "5s"),
    works("http-webhook-io-timeout", A, k.WAIT, "How long the server may take between two pieces of its answer", "5s"),
    works("http-webhook-secret", A, k.SECRET, "Signs each batch (HMAC-SHA256); several: signed with each, so that one can follow another",
          repeat=True, ours=True),
)  # fmt: skip

ROWS: tuple[Directive, ...] = _SPOOL + _ACCT
