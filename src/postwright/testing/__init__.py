"""Test doubles and tools, shipped with the relay: use them to test what you build around it.

Each lives in a module of its own and is reached from here by name. Nothing is imported before it is asked for, and the relay never imports
any of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postwright.testing.chaos import Chaos, ChaosProxy
    from postwright.testing.load import LoadReport, run_load
    from postwright.testing.load_plan import LoadPlan
    from postwright.testing.providers import Manner, Provider, Providers
    from postwright.testing.relay_process import RelayError, RelayProcess
    from postwright.testing.sink import SinkServer
    from postwright.testing.sink_records import Extensions, SinkConnection, SinkCounts, SinkMessage
    from postwright.testing.sink_rules import Rule, RuleError
    from postwright.testing.source import Sent, SourceClient
    from postwright.testing.transcript import Transcript, TranscriptError
    from postwright.testing.world import World

__all__ = [
    "Chaos",
    "ChaosProxy",
    "Extensions",
    "LoadPlan",
    "LoadReport",
    "Manner",
    "Provider",
    "Providers",
    "RelayError",
    "RelayProcess",
    "Rule",
    "RuleError",
    "Sent",
    "SinkConnection",
    "SinkCounts",
    "SinkMessage",
    "SinkServer",
    "SourceClient",
    "Transcript",
    "TranscriptError",
    "World",
    "run_load",
]

_HOMES = {
    "chaos": ("Chaos", "ChaosProxy"),
    "load": ("LoadReport", "run_load"),
    "load_plan": ("LoadPlan",),
    "providers": ("Manner", "Provider", "Providers"),
    "relay_process": ("RelayError", "RelayProcess"),
    "sink": ("SinkServer",),
    "sink_records": ("Extensions", "SinkConnection", "SinkCounts", "SinkMessage"),
    "sink_rules": ("Rule", "RuleError"),
    "source": ("Sent", "SourceClient"),
    "transcript": ("Transcript", "TranscriptError"),
    "world": ("World",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
