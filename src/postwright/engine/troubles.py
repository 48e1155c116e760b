"""What may be wrong when mail is handed to a server, in words for the person who has to change it: one table.

Data and nothing else. The names are for programs (`postwright send --json`) and stay as they are; `{words}` are filled in by
`engine.trial_advice`, which also decides which trouble it is. An exit status belongs to a whole kind of trouble.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What ended it, as an exit status."""

    TAKEN = 0
    REFUSED = 1
    UNREACHABLE = 2
    TLS = 3
    LOGIN = 4
    TEMPORARY = 5


_R, _U, _T, _L, _W = Exit.REFUSED, Exit.UNREACHABLE, Exit.TLS, Exit.LOGIN, Exit.TEMPORARY
_PORTS = "The usual ports: 587 with STARTTLS, 465 with SSL/TLS, 25 between servers only."

TROUBLES: dict[str, tuple[Exit, str, tuple[str, ...]]] = {
    "no-such-name": (
        _U,
        "The name {server} cannot be found.",
        (
            "Check its spelling. The field wants a bare host name, without smtp:// and without a port.",
            "Your provider's instructions name the server for outgoing mail; it is often smtp.DOMAIN or mail.DOMAIN.",
            "If other names cannot be found either, this machine's DNS does not work.",
        ),
    ),
    "refused": (
        _U,
        "Nothing answers on port {port} of {server}: the connection was refused.",
        ("Check the port. " + _PORTS, "If that is your own server, see whether its mail service runs and listens on this address."),
    ),
    "unreachable": (
        _U,
        "There is no way from here to {server}.",
        (
            "Check the network of this machine, and the address behind the name.",
            "If the name has an IPv6 address and this machine has no IPv6, try -4.",
        ),
    ),
    "time-out": (
        _U,
        "No connection to port {port} of {server}: nobody answered in time.",
        (
            "A firewall drops the packets, here, there or between. Ask the host of this machine whether outgoing port {port} is open.",
            "Try another port. " + _PORTS,
        ),
    ),
    "time-out-25": (
        _U,
        "No connection to port 25 of {server}: nobody answered in time.",
        (
            "Most hosting and access providers block outgoing port 25. Use port 587 with STARTTLS or 465 with SSL/TLS, and log in.",
            "If you need port 25, ask the provider of this machine to open it.",
        ),
    ),
    "tls-at-once": (
        _T,
        "Port {port} of {server} speaks TLS from the first byte, and {security} was asked for.",
        ("Set the security to SSL/TLS (--security ssl) for this port, or use port 587 with STARTTLS.",),
    ),
    "not-tls": (
        _T,
        'Port {port} of {server} does not speak TLS from the first byte ("wrong version number").',
        ("Set the security to STARTTLS (--security starttls) for this port, or use port 465 with SSL/TLS.",),
    ),
    "no-banner": (
        _U,
        "{server} took the connection on port {port} and then said nothing.",
        ("Check that this is the port of a mail server. " + _PORTS, "Some servers let strangers wait: try again with a longer --timeout."),
    ),
    "not-smtp": (_U, "What answers on port {port} of {server} is no mail server.", ("Check name and port. " + _PORTS,)),
    "turned-away": (
        _R,
        "{server} turns this machine away before anything was said.",
        (
            "Its words below say why: often the address of this machine is on a block list, or has no reverse name in the DNS.",
            "From a home or office line, use your provider's submission server (port 587 or 465) instead of port 25.",
        ),
    ),
    "busy": (_W, "{server} takes nobody just now.", ("Try again in some minutes. A mail server would do so by itself; most CMSs do not.",)),
    "no-starttls": (
        _T,
        "{server} offers no STARTTLS on port {port}.",
        (
            "Try port 587 with STARTTLS, or port 465 with SSL/TLS.",
            "A firewall or virus scanner between may take the offer out: try from another network.",
            "Without encryption (--security none) only on a network that you trust, and never with a password.",
        ),
    ),
    "starttls-refused": (
        _T,
        "{server} offers STARTTLS and then refuses it.",
        ("Its TLS is set up wrong; tell its administrator.", "Try port 465 with SSL/TLS."),
    ),
    "injected": (
        _T,
        "Something was said in the clear behind the answer to STARTTLS: somebody may sit on the line.",
        ("Do not send a password over this connection. Tell the server's administrator (CVE-2021-33515 is about this).",),
    ),
    "cert-name": (
        _T,
        "The certificate of {server} is not for this name; it is for {names}.",
        (
            "Use as server the name that the certificate has, if that is the same machine: shared hosting often wants the host's own name.",
            "Or have the certificate issued for {server}, too.",
            "To try anyway without the check: --insecure (not for daily use).",
        ),
    ),
    "cert-self-signed": (
        _T,
        "The certificate of {server} is self-signed: nobody vouches for it.",
        (
            "Have the server use a certificate of a public authority (they cost nothing).",
            "If it is your own server: --ca-file with its certificate makes it trusted.",
            "To try anyway without the check: --insecure (not for daily use).",
        ),
    ),
    "cert-unknown-ca": (
        _T,
        "The certificate of {server} comes from an authority that this machine does not know ({issuer}).",
        (
            "The server may not send its whole chain: its administrator has to add the intermediate certificates.",
            "For an authority of your own: --ca-file. If this machine's list of authorities is old, renew the package ca-certificates.",
            "To try anyway without the check: --insecure (not for daily use).",
        ),
    ),
    "cert-expired": (
        _T,
        "The certificate of {server} has expired.",
        (
            "The server's administrator has to renew it (and to have the mail server read the new one).",
            "Check the clock of this machine.",
            "To try anyway without the check: --insecure (not for daily use).",
        ),
    ),
    "cert-not-yet": (
        _T,
        "The certificate of {server} is not valid yet.",
        ("Check the clock of this machine.", "Else the server's administrator has to replace it."),
    ),
    "cert-other": (_T, "The certificate of {server} was not accepted: {detail}.", ("The server's administrator has to replace it.",)),
    "tls-old": (
        _T,
        "{server} and this program have no TLS version or cipher in common; the server is too old, most likely.",
        (
            "The server has to learn TLS 1.2 or later. Some say this, too, when they want a client certificate (--certificate).",
            "`postwright probe {server}:{port}` shows what it speaks.",
        ),
    ),
    "tls-wants-certificate": (_T, "{server} wants a client certificate.", ("Give it by --certificate (and --key), or use another port.",)),
    "tls-timeout": (
        _T,
        "The TLS handshake with {server} did not end in time.",
        ("A firewall that looks into TLS may hang: try another network or port.",),
    ),
    "tls-failed": (_T, "The TLS handshake with {server} failed: {detail}.", ("`postwright probe {server}:{port}` shows more.",)),
    "auth-needs-tls": (
        _L,
        "{server} takes no login before the connection is encrypted.",
        ("Set the security to STARTTLS (--security starttls), or use port 465 with SSL/TLS.",),
    ),
    "auth-not-offered": (
        _L,
        "{server} offers no login on port {port}.",
        (
            "Use the port for submission: 587 with STARTTLS or 465 with SSL/TLS. Port 25 often takes no logins.",
            "If the server trusts this machine by its address, turn authentication off (--no-auth).",
        ),
    ),
    "mechanism-not-offered": (
        _L,
        "{server} does not offer {wanted}; it offers {offered}.",
        ("Choose one of those by --mechanism, or leave the choice to the program.",),
    ),
    "clear-password": (
        _L,
        "{server} would take the password only in the clear, and the connection is not encrypted: it was not sent.",
        ("Set the security to STARTTLS or SSL/TLS.", "If nobody can listen on this network: --insecure."),
    ),
    "wrong-password": (
        _L,
        "{server} does not accept user name and password.",
        (
            "Try them where they surely work (the provider's web mail). The user name is often the whole mail address (here: {user}).",
            "With two-step login, make an app password at the provider and use that.",
            "Some providers want SMTP turned on for the account first.",
        ),
    ),
    "app-password": (
        _L,
        "{server} wants an app password (or OAuth) instead of the account's own password.",
        (
            "Make an app password in the account's security settings (two-step login has to be on) and use it here.",
            "Or log in with a token: --mechanism XOAUTH2.",
        ),
    ),
    "smtp-auth-disabled": (
        _L,
        "{server} does not let this account log in by SMTP: it is turned off.",
        (
            "The administrator of the tenant has to turn on authenticated SMTP for the mailbox.",
            "Or log in with a token: --mechanism XOAUTH2.",
        ),
    ),
    "token-refused": (
        _L,
        "{server} does not accept the token.",
        (
            "Tokens live an hour or so: get a new one. `postwright auth decode` shows for whom and until when a JWT is.",
            "Its scope has to allow SMTP, and the user name has to be that of the token.",
        ),
    ),
    "auth-busy": (_W, "{server} cannot check logins just now.", ("Try again in some minutes.",)),
    "auth-unproved": (
        _L,
        "{server} said yes, but could not prove that it knows the password: somebody may sit on the line.",
        ("Do not use this password there any more before its administrator has explained it.",),
    ),
    "auth-failed": (
        _L,
        "The login at {server} failed.",
        ("Its words below say why.", "Try another mechanism by --mechanism; it offers {offered}."),
    ),
    "need-tls": (
        _T,
        "{server} takes no mail before the connection is encrypted.",
        ("Set the security to STARTTLS (--security starttls).",),
    ),
    "need-login": (_L, "{server} takes mail only from those who log in.", ("Turn authentication on (--auth) and give user and password.",)),
    "relaying-denied": (
        _R,
        '{server} does not pass mail on to this recipient for us ("relaying denied").',
        ("{login_step}", "To reach the recipient's own server, use its MX host: `postwright probe DOMAIN` lists them."),
    ),
    "sender-refused": (
        _R,
        "{server} does not accept the sender.",
        (
            "Use a From address that belongs to the account (here: {user}); many providers allow no other.",
            "The domain of the address has to exist in the DNS.",
        ),
    ),
    "no-such-recipient": (_R, "The recipient does not exist there.", ("Check the address.",)),
    "mailbox-full": (_W, "The mailbox of the recipient is full.", ("Only its owner can help.",)),
    "too-large": (
        _R,
        "The message is too large for {server}.",
        ("Send less, or a link. `postwright probe {server}:{port}` shows the limit (SIZE).",),
    ),
    "greylisted": (
        _W,
        "{server} asks to try again later (greylisting, most likely).",
        ("Wait five minutes and send again. A mail server does so by itself; a CMS does not, and needs one between.",),
    ),
    "rate-limited": (
        _W,
        "{server} says that too much came from here lately.",
        ("Wait, and send less at a time.", "The provider can tell the limit of the account."),
    ),
    "content-refused": (
        _R,
        "{server} refused the message after it had read it.",
        (
            "Its words below say why: spam filter, SPF/DKIM/DMARC of the sender's domain, or a forbidden attachment.",
            "Try with a sender of a domain whose DNS names this server, and with plain text.",
        ),
    ),
    "needs-utf8": (
        _R,
        "{server} takes no addresses beyond ASCII (no SMTPUTF8).",
        ("Use an address whose part before the @ is plain ASCII.",),
    ),
    "temporary": (_W, "{server} says: not now.", ("Try again later; its words below say why.",)),
    "permanent": (_R, "{server} refused it.", ("Its words below say why.",)),
    "silent": (
        _U,
        "{server} stopped answering (at {stage}).",
        ("Try again; with -v the dialogue shows how far it came.", "A firewall that looks into SMTP may hang."),
    ),
    "hung-up": (
        _U,
        "{server} closed the connection (at {stage}).",
        (
            "Try again; with -v the dialogue shows how far it came.",
            "Servers do this to machines that they do not like, or when they break.",
        ),
    ),
    "not-understood": (_U, "{server} said something that is not SMTP (at {stage}).", ("Check name and port. " + _PORTS,)),
}
