"""Proxies as they are written: values by table, and mistakes with their line and what to do."""

from __future__ import annotations

import pytest

from postwright.control.config.loader import loads
from postwright.policy.settings import ProxyClient, ProxySettings, ProxySourceRule

HEAD = "host-name a.example\npostmaster p@a.example\nsmtp-listener 127.0.0.1:2626\n"
PROXY = "<proxy p1>\n server 198.51.100.1:5000\n client 203.0.113.1 a.example\n client [2001:db8::1]:7000 b.example\n</proxy>\n"


def errors(text: str) -> list[str]:
    return [f"{problem.line}: {problem.message}" for problem in loads(HEAD + text).problems if problem.level == "error"]


@pytest.mark.directive("server", "client", "protocol-version", "use-proxy", "smtp-proxy-source-host")
def test_what_is_read() -> None:
    more = "use-proxy p1, p2\n<virtual-mta v>\n smtp-proxy-source-host 10/8 proxy.example:5000 203.0.113.9:0 far.example\n</virtual-mta>\n"
    more = more.replace(":0 ", " ")
    second = "<proxy p2>\n type socks5\n server [2001:db8::5]:1080\n client 203.0.113.3 c\n"
    second += " auth-username joe\n auth-password hush\n</proxy>\n"
    settings = loads(HEAD + PROXY + second + more).settings
    assert settings is not None
    assert settings.proxies == {
        "p1": ProxySettings(
            "p1",
            server=("198.51.100.1", 5000),
            client=(ProxyClient("203.0.113.1", 0, "a.example"), ProxyClient("2001:db8::1", 7000, "b.example")),
        ),
        "p2": ProxySettings(
            "p2", "socks5", ("2001:db8::5", 1080), (ProxyClient("203.0.113.3", 0, "c"),), auth_username="joe", auth_password="hush"
        ),
    }
    assert settings.use_proxy == ("p1", "p2")
    rule = ProxySourceRule("10.0.0.0/8", ("proxy.example", 5000), ProxyClient("203.0.113.9", 0, "far.example"))
    assert settings.vmtas["v"].smtp_proxy_source_host == (rule,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("use-proxy none\n", []),
        ("use-proxy p9\n", ["4: there is no <proxy> `p9`"]),
        ("<proxy p>\n server 127.0.0.1:1\n</proxy>\n", ["4: proxy `p` has no `client`"]),
        ("<proxy p>\n client 127.0.0.1 a\n</proxy>\n", ["4: proxy `p` has no `server`"]),
        ("<proxy p>\n server 127.0.0.1\n client 127.0.0.1 a\n</proxy>\n", ["5: server: `127.0.0.1` is no host with a port"]),
        ("<proxy p>\n server h:1\n client a.example\n</proxy>\n", ["6: client: "]),
        (
            "<virtual-mta v>\n smtp-source-host 192.0.2.1 a\n smtp-proxy-source-host 192.0.2.1 h:1 192.0.2.9 b\n</virtual-mta>\n",
            ["5: smtp-source-host and smtp-proxy-source-host exclude one another"],
        ),
        (
            PROXY + "<virtual-mta v>\n smtp-proxy-source-host 192.0.2.1 h:1 192.0.2.9 b\n use-proxy p1\n</virtual-mta>\n",
            ["11: use-proxy and smtp-proxy-source-host exclude one another"],
        ),
        ("smtp-proxy-source-host 192.0.2.1 h:1\n", ["4: smtp-proxy-source-host: the address that the proxy sends from is missing"]),
    ],
)
def test_mistakes(text: str, said: list[str]) -> None:
    found = errors(text)
    assert [message for message, wanted in zip(found, said, strict=True) if not message.startswith(wanted)] == []
