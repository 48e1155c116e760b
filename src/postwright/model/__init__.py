"""The values that flow between the layers: addresses, envelopes, replies, routes, outcomes, records.

Nothing here waits, reads a clock, opens a file or logs. Values are `msgspec.Struct`s: as small and as quick to make as a
slotted class, typed, and encodable as they are (see docs/decisions/0001-msgspec-structs-in-the-model.md).
"""
