"""How people of a Windows network log in: NTLM (Microsoft's "secure password authentication") and Kerberos."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive
from postwright.control.config.directives.rows import G, works

ROWS: tuple[Directive, ...] = (
    works("ntlm-domain", G, k.NAME, "Users whose password can be read may log in by NTLM (version 2); this name is shown to them",
          "(none)", ours=True),
    works("kerberos-keytab", G, k.FILE, "Keys of our service: users may log in by Kerberos (GSSAPI, GSS-SPNEGO)", "(none)", ours=True),
    works("kerberos-service", G, k.KERBEROS_SERVICE, "Which of its keys: all of SERVICE/HOST, or those of one HOST", "smtp", ours=True),
    works("kerberos-realms", G, k.LIST, "Realms whose users may log in, ours or others, by their name with @REALM", ours=True),
)  # fmt: skip
