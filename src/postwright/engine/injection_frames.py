"""What a process of ours and a shard say to each other when mail is handed in: plain values, no behaviour. See `injection`."""

from __future__ import annotations

from msgspec import Struct


class Inject(Struct, tag="inject"):
    """To a shard: a message. `script` is a dialogue of SMTP without EHLO (`engine.scripts`), `source` the named source whose settings hold,
    `user` whose rights and limits count ("": nobody's), `peer` the client's IP address, `name` what it is called in Received.

    `strict`: one refused recipient refuses the message. `key` what makes a second request the same as the first, "" for none.
    `who`: whom the records are to name as the one who handed it in, where that is no user.
    """

    number: int
    script: bytes
    source: str
    user: str = ""
    peer: str = ""
    name: str = ""
    strict: bool = False
    key: str = ""
    who: str = ""


class Refusal(Struct, array_like=True):
    """A recipient that was not taken: its number among those asked for, from 0, and the reply."""

    index: int
    code: int
    status: str
    text: str


class Injected(Struct, tag="injected"):
    """The shard's answer. `code` 250: the message is on disk, `id` its id; else nothing of it is kept, `status` and `text` say why.

    `again`: it is the answer to an earlier request with the same key.
    """

    number: int
    code: int
    status: str
    text: str
    id: str = ""
    recipients: int = 0
    refused: list[Refusal] = []
    again: bool = False


class Settled(Struct, tag="settled-key"):
    """To a shard: the answer to the message with this key is where it cannot be forgotten, and the message may go."""

    key: str


InjectionTalk = Inject | Injected | Settled
