"""Accounting files as PowerMTA of several versions and we ourselves write them, small enough to count by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

from postwright.model.record import Record
from postwright.store.accounting_rows import RowForm, RowMaker

# the column names of 5.0, and rows in the form that its user's guide prints
V5 = """type,timeLogged,timeQueued,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,dlvType,dlvSourceIp,\
dlvDestinationIp,dlvEsmtpAvailable,dlvSize,vmta,jobId,envId,queue,vmtaPool
d,2019-02-08 21:54:05+0000,2019-02-08 21:54:05+0000,AA-D=1181.example@bounce.bar.example,D@1181.example,,relayed,2.0.0 (success),\
smtp;250 DATA ok,foo.example (10.1.2.3),,api,foo.example (127.0.0.1),smtp,10.1.2.3,10.1.2.3,"ENHANCEDSTATUSCODES,8BITMIME,SMTPUTF8",41159,\
vmta48,JoBID29546016861868,,1181.example/vmta48,
b,2019-02-08 21:53:41+0000,2019-02-08 21:53:41+0000,CB-A=yahoo.example@bounce.bar.example,A@yahoo.example,,failed,\
5.7.1 (delivery not authorized),smtp;554 5.7.1 Denied - Spam Suspected - http://www.example/x.php,foo.example (10.1.2.3),spam-related,\
api,foo.example (127.0.0.1),smtp,10.1.2.3,10.1.2.3,"ENHANCEDSTATUSCODES,8BITMIME,SMTPUTF8",,vmta18,,,yahoo.rollup/vmta18,
t,2019-02-08 21:53:54+0000,2019-02-08 21:53:54+0000,DA@bounce.bar.example,DA@yahoo.example,,delayed,4.7.0 (other or undefined security \
status),smtp;421 4.7.0 mx002 Error: too many errors,foo.example (10.1.2.165),policy-related,api,foo.example (127.0.0.1),smtp,10.59.14.69,\
10.1.2.165,"ENHANCEDSTATUSCODES,8BITMIME,SMTPUTF8",,vmta21,,,yahoo.rollup/vmta21,
"""
# 4.0: timeImprinted, Unix times, bounceCat of deliveries, LF
V4 = """type,timeLogged,timeQueued,timeImprinted,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,dlvType,\
dlvSourceIp,dlvDestinationIp,dlvEsmtpAvailable,dlvSize,vmta,jobId,envId
d,1191435989,1191435929,,testfrom@port25.example,testto@port25.example,,relayed,2.0.0 (success),,[192.0.2.10] (192.0.2.10),success,api,,\
smtp,10.25.25.211,10.25.25.20,,316,vmta0,job0,env0
b,1191436989,1191435929,,testfrom@port25.example,gone@old.example,,failed,4.4.1 (no answer from host),,,no-answer-from-host,api,,smtp,\
10.25.25.211,10.25.25.20,,,vmta0,job0,env0
"""
HOSTILE = "smtp;550 \x1b[31mred <r2@new.example> \u202ealias"


def write(folder: Path) -> list[str]:
    """Five files: 5.0 with CRLF, 4.0 with LF, ours, ours with a header column and gzip, and one that is damaged. Their paths."""
    (folder / "v5.csv").write_bytes(V5.replace("\n", "\r\n").encode())
    (folder / "v4.csv").write_bytes(V4.encode())
    (folder / "ours.csv").write_bytes(_ours(RowForm(("d", "b", "tq"))))
    fields = ("*", "header_X-Mailing", "userString")
    (folder / "ours.csv.gz").write_bytes(
        gzip.compress(_ours(RowForm(("d", "b"), {"d": fields, "b": fields}, user_string="site"), start=3600))
    )
    damaged = _ours(RowForm(("d",)), start=7200)
    (folder / "damaged.csv").write_bytes(damaged + b'd,"half a row\r\n' + damaged.split(b"\r\n")[1] + b"\r\nd,1,2")
    return [str(folder / name) for name in ("v5.csv", "v4.csv", "ours.csv", "ours.csv.gz", "damaged.csv")]


def _ours(form: RowForm, start: int = 0) -> bytes:
    maker = RowMaker(form)
    noon = 1_700_000_000.0 + start
    common = {"orig": "news@sender.example", "src_type": "smtp", "dlv_type": "smtp", "dlv_source_ip": "192.0.2.1", "vmta": "v1"}
    common["queue"] = "new.example/v1"
    records = [_delivery(n, noon, **common) for n in range(3)] + [_bounce(n, noon, **common) for n in (1, 2)]
    records.append(Record("tq", noon, dsn_status="4.4.1", vmta="v1", queue="new.example/v1"))
    return maker.header_line + b"".join([maker.row(record) for record in records if record.type in maker.kinds])


def _delivery(n: int, noon: float, **common: str) -> Record:
    return Record(
        "d", noon + 30 * n, time_queued=noon, rcpt=f"d{n}@new.example", dsn_status="2.0.0", dsn_diag="smtp;250 ok", dlv_size=1000 * (n + 1),
        job_id="j1", headers={"x-mailing": f"m{n}"}, **common,  # type: ignore[arg-type]  # texts, all of them
    )  # fmt: skip


def _bounce(n: int, noon: float, **common: str) -> Record:
    return Record(
        "b", noon + 60, time_queued=noon, rcpt=f"r{n}@new.example", dsn_status="5.1.1", dsn_diag=HOSTILE, bounce_cat="bad-mailbox",
        job_id="j2", **common,  # type: ignore[arg-type]  # texts, all of them
    )  # fmt: skip
