"""Lists and processors: from blocks to rules with their origins. Later issues use them; here they are read, checked and kept."""

from __future__ import annotations

from msgspec import structs

from postwright.control.config import fill
from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.policy.settings import (
    AddressList,
    CategoryRule,
    EmailPatterns,
    ProcessorSettings,
    ReplyRule,
    RewriteRule,
    RollupRule,
    SubmissionResult,
    SubmissionRule,
)


def replies(block: Block) -> tuple[ReplyRule, ...]:
    """`<smtp-pattern-list>`."""
    return tuple(structs.replace(entry.value, origin=entry.origin) for entry in block.entries())


def categories(block: Block) -> tuple[CategoryRule, ...]:
    """`<bounce-category-patterns>`."""
    return tuple(structs.replace(entry.value, origin=entry.origin) for entry in block.entries())


def rollups(block: Block) -> tuple[RollupRule, ...]:
    """`<mx-rollup-list>`."""
    return tuple(structs.replace(entry.value, origin=entry.origin) for entry in block.entries())


def rewrites(block: Block) -> tuple[RewriteRule, ...]:
    """`<rewrite-list>`."""
    return tuple(structs.replace(entry.value, origin=entry.origin) for entry in block.entries())


def submissions(block: Block, report: Report) -> tuple[SubmissionRule, ...]:
    """`<pattern-list>`: a rule without a result takes the list that follows it, whose rules decide once its pattern has matched."""
    rules: list[SubmissionRule] = []
    waiting: Entry | None = None
    for item in block.items:
        if isinstance(item, Block):
            if waiting is None:
                report.at(item.text, item.line, "a nested <pattern-list> belongs behind a pattern without a result")
                continue
            rules.append(structs.replace(waiting.value, origin=waiting.origin, nested=submissions(item, report)))
            waiting = None
            continue
        _without_result(waiting, report)
        waiting = item if item.value.result == SubmissionResult() else None
        if waiting is None:
            rules.append(structs.replace(item.value, origin=item.origin))
    _without_result(waiting, report)
    return tuple(rules)


def _without_result(waiting: Entry | None, report: Report) -> None:
    if waiting is not None:
        offset = len(waiting.line.value)
        hint = "write virtual-mta=NAME behind it, or a <pattern-list> on the next line"
        report.at(waiting.text, waiting.line, f"{waiting.line.name}: a result is missing", offset=offset, hint=hint, forgiven=True)


def address_list(block: Block, domains: tuple[str, ...]) -> AddressList:
    """`<address-list>`; `domains` are its domains with macros expanded."""
    found: dict[str, list[str]] = {"address": [], "address-file": []}
    for entry in block.entries():
        if entry.row.name in found:
            found[entry.row.name].append(entry.value)
    return AddressList(tuple(found["address"]), domains, tuple(found["address-file"]))


def joined(first: AddressList, second: AddressList) -> AddressList:
    """Two blocks of one name."""
    return AddressList(first.addresses + second.addresses, first.domains + second.domains, first.files + second.files, first.name)


def processor(block: Block, addresses: AddressList) -> ProcessorSettings:
    """`<bounce-processor>`, `<feedback-loop-processor>`."""
    patterns = None
    for inner in block.blocks("email-patterns"):
        patterns = EmailPatterns(**fill.values(inner.entries(), EmailPatterns))
    values = fill.values(block.entries(), ProcessorSettings)
    return ProcessorSettings(**{**values, "addresses": addresses, "patterns": patterns, "origin": block.origin})
