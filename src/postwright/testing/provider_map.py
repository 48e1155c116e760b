"""Providers by the names that people know, and whose customers have addresses in which domain.

Their hosts' names are the real ones, so that configurations which name them (`mx-rollup-list`, `mx-connection-limit`) find what they look
for; words are as seen (`provider_words`). The numbers are made up, in the order of size that senders report: providers keep theirs to
themselves, and change them. Plain values.
"""

from __future__ import annotations

from zlib import crc32

from postwright.testing import provider_words as words
from postwright.testing.providers import HOUR, Manner


def _google(*suffixes: str) -> tuple[str, ...]:
    return tuple(f"{prefix}gmail-smtp-in.l.google.com" for prefix in suffixes)


GOOGLE = Manner(
    name="google",
    words=words.GMAIL,
    hosts=_google("", "alt1.", "alt2."),
    connections=20,
    per_connection=100,
    hourly=1500,
    unknown=0.01,
    full=0.005,
    complaints=0.001,
    tolerance=20,
    block=2 * HOUR,
    tls="",
)
MICROSOFT = Manner(
    name="microsoft",
    words=words.OUTLOOK,
    hosts=("hotmail-com.olc.protection.outlook.com", "eur.olc.protection.outlook.com"),
    connections=10,
    per_connection=50,
    hourly=800,
    unknown=0.01,
    complaints=0.002,
    tolerance=25,
    block=6 * HOUR,
)
YAHOO_INC = Manner(
    name="yahoo",
    words=words.YAHOO,
    hosts=("mta5.am0.yahoodns.net", "mta6.am0.yahoodns.net", "mta7.am0.yahoodns.net"),
    connections=5,
    per_connection=20,
    hourly=600,
    unknown=0.02,
    full=0.01,
    complaints=0.002,
    tolerance=30,
)
XFINITY = Manner(
    name="comcast",
    words=words.COMCAST,
    hosts=("mx1.mxge.comcast.net", "mx2.mxge.comcast.net"),
    connections=25,
    hourly=1000,
    unknown=0.01,
    tolerance=30,
)
UNITED_INTERNET = Manner(
    name="united internet",
    words=words.GMX,
    hosts=("mx00.emig.gmx.net", "mx01.emig.gmx.net"),
    connections=10,
    hourly=500,
    unknown=0.02,
    tolerance=30,
    block=12 * HOUR,
)
VK = Manner(name="mail.ru", words=words.MAIL_RU, hosts=("mxs.mail.ru",), connections=20, hourly=400, unknown=0.02, tolerance=30)
TENCENT = Manner(name="qq", words=words.QQ, hosts=("mx1.qq.com", "mx2.qq.com", "mx3.qq.com"), hourly=150, unknown=0.02, tolerance=40)
NETEASE = Manner(
    name="netease",
    words=words.NETEASE,
    hosts=("163mx00.mxmail.netease.com", "163mx01.mxmail.netease.com"),
    connections=3,
    per_connection=10,
    hourly=200,
    unknown=0.02,
    tolerance=30,
    block=0.25 * HOUR,
)
ORANGE_FR = Manner(
    name="orange", words=words.ORANGE, hosts=("smtp-in.orange.fr",), connections=3, hourly=300, unknown=0.02, tolerance=20, block=2 * HOUR
)
PPHOSTED = Manner(
    name="proofpoint",
    words=words.PROOFPOINT,
    hosts=("mx0a-00000001.pphosted.com", "mx0b-00000001.pphosted.com"),
    connections=10,
    unknown=0.01,
    tolerance=50,
    tls="refused",
)
MIMECAST_COM = Manner(
    name="mimecast",
    words=words.MIMECAST,
    hosts=("eu-smtp-inbound-1.mimecast.com", "eu-smtp-inbound-2.mimecast.com"),
    unknown=0.01,
    greylist=60.0,
    tolerance=50,
)
COMPANIES = Manner(
    name="companies",
    words=words.OFFICE,
    hosts=("mail.companies.example",),
    connections=10,
    unknown=0.02,
    full=0.01,
    greylist=300.0,
    tarpit=1.0,
    tls="broken",
)

# which of the domains that configurations name are whose
HOMES: dict[str, Manner] = {
    **dict.fromkeys(("gmail.com", "googlemail.com"), GOOGLE),
    **dict.fromkeys(("hotmail", "live", "msn", "outlook", "email"), MICROSOFT),
    **dict.fromkeys(
        ("yahoo", "ymail", "rocketmail", "aol", "aim", "att", "bellsouth", "sbcglobal", "verizon", "netscape", "cs"), YAHOO_INC
    ),
    **dict.fromkeys(("comcast", "comcastwork", "xfinity"), XFINITY),
    **dict.fromkeys(("gmx", "web.de", "mail.com", "1und1", "1and1"), UNITED_INTERNET),
    **dict.fromkeys(("mail.ru", "bk.ru", "list.ru", "inbox.ru"), VK),
    **dict.fromkeys(("qq", "foxmail"), TENCENT),
    **dict.fromkeys(("163", "126", "yeah"), NETEASE),
    **dict.fromkeys(("orange", "wanadoo"), ORANGE_FR),
}
OTHERS = (COMPANIES, PPHOSTED, MIMECAST_COM)


def home_of(domain: str) -> Manner:
    """Whose customers have addresses in that domain; one of `OTHERS`, always the same, when it is nobody's that is known by name."""
    found = HOMES.get(domain) or HOMES.get(domain.partition(".")[0])
    return found or OTHERS[crc32(domain.encode()) % len(OTHERS)]
