"""How receivers of the real world word their refusals: replies as they were seen, each with where it was seen and when.

For simulated providers, whose texts must be those that operators write their `smtp-pattern-list` for. `{ip}` stands for the address that
sends, `{rcpt}` for a recipient, `{host}` for the host that speaks; a text of several lines is a reply of several lines. At which stage and
for what a provider says it is as observed where the source tells it, and likely where it does not. Providers change their words; nothing
here is a promise of theirs. Plain values.
"""

from __future__ import annotations

from msgspec import Struct


class Saying(Struct, frozen=True):
    """One reply: `stage` at which it comes (a stage of `sink_rules`), code, enhanced status or "", text; `seen`: where, and the year."""

    stage: str
    code: int
    status: str
    text: str
    seen: str


class Words(Struct, frozen=True, kw_only=True):
    """What a provider says for which reason. What is None it has no words for, and does not refuse for."""

    unknown: Saying  # no such mailbox
    connections: Saying | None = None  # too many at a time
    messages: Saying | None = None  # too many on one connection
    rate: Saying | None = None  # too many in an hour
    blocked: Saying | None = None  # this address, for a while
    greylisted: Saying | None = None
    full: Saying | None = None  # this mailbox has no room


_SUITE = "bounce mail of Sisimai's corpus"
_GMAIL_421 = "mythicintel.com/blog/421-from-gmail (2025), talk.plesk.com 361840 (2022)"
_NETEASE = "NetEase's list of refusals (HL:, MI:, DT:), repeated by many (2013 to 2024); the text behind the code as its DT:SPM has it"
_MEMORY = "as remembered from logs, not looked up"
_NETEASE_HELP = "{host} please see http://mail.163.com/help/help_spam_16.htm?ip={ip}"
_POSTFIX = "Postfix's and Postgrey's own words, their manuals (2024)"

GMAIL = Words(
    unknown=Saying(
        "rcpt",
        550,
        "5.1.1",
        "The email account that you tried to reach does not exist. Please try\n"
        "double-checking the recipient's email address for typos or\n"
        "unnecessary spaces. Learn more at\n"
        "https://support.google.com/mail/?p=NoSuchUser - gsmtp",
        f"{_SUITE}, rhost-google-02 (2022)",
    ),
    connections=Saying("connect", 421, "4.7.0", "Try again later, closing connection.", "a test's table of Gmail's rate limit (2025)"),
    rate=Saying(
        "eod",
        421,
        "4.7.28",
        "[{ip}] Our system has detected an unusual rate of\n"
        "unsolicited mail originating from your IP address. To protect our\n"
        "users from spam, mail sent from your IP address has been temporarily\n"
        "rate limited. Please visit\n"
        "https://support.google.com/mail/?p=UnsolicitedRateLimitError to\n"
        "review our Bulk Email Senders Guidelines. - gsmtp",
        _GMAIL_421,
    ),
    blocked=Saying(
        "eod",
        421,
        "4.7.0",
        "Our system has detected that this message is\n"
        "suspicious due to the very low reputation of the sending IP address.\n"
        "To protect our users from spam, mail sent from your IP address has\n"
        "been temporarily rate limited. - gsmtp",
        "discuss.vultr.com 1031 (2017)",
    ),
    full=Saying(
        "rcpt",
        452,
        "4.2.2",
        "The recipient's inbox is out of storage space. Please direct the\n"
        "recipient to\n"
        "https://support.google.com/mail/?p=OverQuotaTemp - gsmtp",
        "notifications of Amazon SES in public repositories (2024)",
    ),
)

OUTLOOK = Words(
    unknown=Saying(
        "rcpt",
        550,
        "5.5.0",
        "Requested action not taken: mailbox unavailable (S2017062302).",
        "delivery logs in public repositories (2025, 2026)",
    ),
    connections=Saying(
        "connect",
        451,
        "4.7.652",
        "The mail server [{ip}] has exceeded the maximum number of connections. "
        "For e-mail delivery information, see https://postmaster.live.com (S3115)",
        "suped.com, on connection limits of Hotmail (2025)",
    ),
    rate=Saying(
        "mail",
        451,
        "4.7.650",
        "The mail server [{ip}] has been temporarily rate limited due to IP reputation. "
        "For e-mail delivery information, see https://aka.ms/postmaster (S775)",
        "forum.directadmin.com 82240 (2026)",
    ),
    blocked=Saying(
        "mail",
        550,
        "5.7.1",
        "Unfortunately, messages from [{ip}] weren't sent. Please contact your Internet service provider since part of their network is on "
        "our block list (S3150).",
        "dijitul.uk, on S3150 (2025); mailop, February 2026",
    ),
)

YAHOO = Words(
    unknown=Saying("rcpt", 552, "", "1 Requested mail action aborted, mailbox not found", "senders.yahooinc.com/smtp-error-codes (2025)"),
    connections=Saying("connect", 421, "", "Service not available, closing transmission channel", "smtp.codes/yahoo (2024)"),
    messages=Saying("mail", 421, "", "Max message per connection reached, closing transmission channel", "smtp.codes/yahoo (2024)"),
    rate=Saying(
        "mail",
        421,
        "4.7.0",
        "[TSS04] Messages from {ip} temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; "
        "see https://postmaster.yahooinc.com/error-codes",
        f"{_SUITE}, rhost-yahooinc-02 (2022); secuserve.zammad.com 397 (2024)",
    ),
    blocked=Saying(
        "mail",
        553,
        "5.7.2",
        "[TSS09] All messages from {ip} will be permanently deferred; Retrying will NOT succeed. "
        "See https://postmaster.yahooinc.com/error-codes",
        "Sisimai's table of Yahoo (2023)",
    ),
    full=Saying("rcpt", 450, "", "User is receiving mail too quickly", "smtp.codes/yahoo (2024)"),
)

COMCAST = Words(
    unknown=Saying("rcpt", 550, "5.1.1", "Not our Customer", _MEMORY),
    connections=Saying(
        "connect", 421, "", "Too many sessions opened", "postmaster.comcast.net, smtp-error-codes (25 a source address; 2015)"
    ),
    rate=Saying("mail", 421, "4.1.0", "{ip} Throttled - try again later", "suped.com, on throttling at Comcast (2025)"),
    blocked=Saying(
        "connect",
        554,
        "",
        "{host} comcast {ip} Comcast block for spam. Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000000",
        "bounce corpora in public repositories (2013); the code: postmaster.comcast.net",
    ),
)

GMX = Words(
    unknown=Saying("rcpt", 550, "", "Requested action not taken: mailbox unavailable", "smtp.codes/unitedinternet (2024)"),
    connections=Saying("connect", 421, "", "{host} Nemesis ESMTP Service not available", "postmaster.gmx.net/en/error-messages (2025)"),
    rate=Saying(
        "mail", 421, "", "Rate limit reached. Please try again later", "new-faq.comservice-ffo.de, refusals of GMX and WEB.DE (2023)"
    ),
    blocked=Saying(
        "connect",
        554,
        "",
        "{host} Nemesis ESMTP Service not available\n"
        "No SMTP service\n"
        "IP address is block listed.\n"
        "For explanation visit https://postmaster.gmx.net/en/case?c=r0201&i=ip&v={ip}",
        "postmaster.gmx.net/en/error-messages (2025)",
    ),
)

MAIL_RU = Words(
    unknown=Saying(
        "rcpt",
        550,
        "",
        "Message was not accepted -- invalid mailbox. Local mailbox {rcpt} is unavailable: user not found",
        "Postfix logs with mxs.mail.ru in public repositories (2011 to 2025)",
    ),
    rate=Saying("eod", 421, "", "Ratelimit exceeded for {ip}. Try again later.", "a mailer's comment on Mail.ru in a public repository"),
    blocked=Saying(
        "eod",
        550,
        "",
        "spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=fhtDsnELae77cN6t or  "
        "report details to abuse@corp.mail.ru. Error code: B2431B7E. ID: 0000000B0001C50E.",
        "Postfix logs with mxs.mail.ru in public repositories (2019)",
    ),
)

QQ = Words(
    unknown=Saying(
        "rcpt",
        550,
        "",
        "Mailbox not found. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728",
        "smtp.codes/qq (2024)",
    ),
    rate=Saying("mail", 550, "", "Connection frequency limited", f"{_SUITE}, rhost-tencent-02 (2020)"),
    blocked=Saying("mail", 550, "", "Suspected spam sender.", "smtp.codes/qq (2024)"),
    full=Saying("rcpt", 550, "", "Mailbox unavailable or access denied", "smtp.codes/qq (2024)"),
)

NETEASE = Words(
    unknown=Saying("rcpt", 550, "", "User not found: {rcpt}", _MEMORY),
    connections=Saying("connect", 421, "", f"HL:ICC {_NETEASE_HELP}", _NETEASE),
    messages=Saying("mail", 450, "", f"MI:DMC {_NETEASE_HELP}", _NETEASE),
    rate=Saying("connect", 421, "", f"HL:IFC {_NETEASE_HELP}", _NETEASE),
    blocked=Saying("connect", 421, "", f"HL:REP {_NETEASE_HELP}", _NETEASE),
)

ORANGE = Words(
    unknown=Saying(
        "rcpt",
        550,
        "5.5.0",
        "Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]",
        "Sisimai's table of Orange (2021)",
    ),
    connections=Saying(
        "connect",
        421,
        "",
        "{host} ME Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR004_104 [104]",
        "bentonow.com/smtp-errors/orange (2025)",
    ),
    rate=Saying(
        "mail",
        421,
        "4.2.0",
        "Service refuse. Veuillez essayer plus tard. Service refused, please try later. OFR_999 [999]",
        f"{_SUITE}, rhost-franceptt-08; Sisimai's table of Orange (2021)",
    ),
    blocked=Saying(
        "connect",
        550,
        "",
        "{host} ME Adresse IP source bloquee pour incident de spam. Client host blocked for spamming issues. OFR006_102",
        f"{_SUITE}, rhost-franceptt-06 (2019)",
    ),
)

PROOFPOINT = Words(
    unknown=Saying("rcpt", 550, "5.1.1", "User Unknown", _MEMORY),
    connections=Saying("connect", 421, "4.3.2", "Connection rate limit exceeded.", "Sendmail's own words, in logs (2014)"),
    blocked=Saying(
        "connect", 554, "", "Blocked - see https://ipcheck.proofpoint.com/?ip={ip}", "a scan of pphosted.com hosts, public repository"
    ),
)

MIMECAST = Words(
    unknown=Saying(
        "rcpt", 550, "", "Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550", "Mimecast SMTP error codes (2022)"
    ),
    greylisted=Saying(
        "rcpt",
        451,
        "",
        "Internal resource temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451",
        "Mimecast SMTP error codes: a retry between a minute and 12 hours passes (2022)",
    ),
    blocked=Saying(
        "eod",
        554,
        "",
        "email rejected due to security policies - https://community.mimecast.com/docs/DOC-1369#554",
        f"{_SUITE}, rhost-mimecast-02",
    ),
)

OFFICE = Words(
    unknown=Saying("rcpt", 550, "5.1.1", "<{rcpt}>: Recipient address rejected: User unknown in local recipient table", _POSTFIX),
    connections=Saying("connect", 421, "4.7.0", "{host} Error: too many connections from {ip}", _POSTFIX),
    greylisted=Saying(
        "rcpt", 450, "4.2.0", "<{rcpt}>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help", _POSTFIX
    ),
    full=Saying("rcpt", 452, "4.2.2", "<{rcpt}>: Recipient address rejected: Mailbox is full", _POSTFIX),
    blocked=Saying("rcpt", 554, "5.7.1", "Service unavailable; Client host [{ip}] blocked using zen.spamhaus.org", _POSTFIX),
)
