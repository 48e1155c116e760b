"""Where the users and their passwords are, beside `<smtp-user>`: files of hashes, a server asked over HTTP, the system's own (PAM)."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import G, works
from postwright.policy.settings import LOOKUP_REPLIES

LOOKUP = Scope.USER_LOOKUP
USER = Scope.USER

LOCKS: tuple[Directive, ...] = (
    works("auth-failures-per-user", G, k.COUNT_OR_UNLIMITED,
          "Failed logins within auth-lock-time that lock a user's name, but for networks that he has logged in from", "10", ours=True),
    works("auth-lock-time", G, k.TIME, "How long a lock lasts, and within which time failed logins add up", "15m", ours=True),
)  # fmt: skip

BINDINGS: tuple[Directive, ...] = (
    works("sender", USER, k.SENDERS, "Sender addresses of this user: mailboxes, domains, *.domain (below it), <>; others are refused",
          "(any)", ours=True),
    works("check-from-header", USER, k.BOOL, "The From field, too, has to be one of sender", "no", ours=True),
    works("virtual-mta", USER, k.NAME_LIST, "Virtual MTAs and pools of this user; the first where the message names none", "(any)",
          ours=True),
    works("max-msg-rate", USER, k.RATE, "Messages of this user; above it MAIL is answered 450", "unlimited", ours=True),
    works("daily-limit", USER, k.COUNT_OR_UNLIMITED, "Recipients of this user from midnight to midnight, local time; then 450", "unlimited",
          ours=True),
    works("latency-class", USER, k.LATENCY_CLASS, "Latency class of this user's mail", "(the source's)", ours=True),
    works("share-weight", USER, k.WEIGHT, "Weight of this user where users share a queue (fair-share-by user)", "(as fair-share-weight)",
          ours=True),
    works("network", USER, k.NETWORKS, "Networks that this user may log in from; elsewhere every password is wrong", "(any)", ours=True),
)  # fmt: skip

STORES: tuple[Directive, ...] = (
    works("users-file", G, k.FILE, "File of users with hashes of their passwords, changed with `postwright user`", repeat=True, ours=True),
    works("pam-service", G, k.NAME, "PAM service (a file in /etc/pam.d) that judges users with authentication-method system", "smtp",
          ours=True),
    works("url", LOOKUP, k.URL, "Where a user is asked for, by POST (https; http to this machine only)", ours=True),
    works("secret", LOOKUP, k.SECRET, "Shown there as Authorization: Bearer", ours=True),
    works("secret-file", LOOKUP, k.FILE, "File that holds the secret", ours=True),
    works("send-password", LOOKUP, k.BOOL, "Show the password, too, and let that server judge it", "no", ours=True),
    works("replies-have", LOOKUP, k.CHOICES(*LOOKUP_REPLIES), "What every reply has; AUTH offers what works with it", "hash", ours=True),
    works("cache-for", LOOKUP, k.TIME, "How long a user is taken for as told", "5m", ours=True),
    works("negative-cache-for", LOOKUP, k.TIME, "How long a user is taken not to exist", "30s", ours=True),
    works("request-timeout", LOOKUP, k.WAIT, "How long that server may take; then the login fails for now (454)", "3s", ours=True),
    works("ca-file", LOOKUP, k.FILE, "Certification authorities that the server is checked against", "(the system's)", ours=True),
)  # fmt: skip

ROWS: tuple[Directive, ...] = LOCKS + BINDINGS + STORES
