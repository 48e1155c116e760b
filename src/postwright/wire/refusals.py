"""What the server engine itself tells a client that is malformed, out of bounds or after something that is not offered.

Plain replies, short and general; those that belong to the parsing of one command stand in `commands`, those of order in `server_states`.
"""

from __future__ import annotations

from postwright.model.reply import Reply

UNKNOWN = Reply(500, "5.5.2", ("command not recognized",))
BARE_LINE_END = Reply(500, "5.5.2", ("lines must end with CRLF",))
BAD_CHARACTER = Reply(500, "5.5.2", ("a character is not allowed in a command",))
LINE_TOO_LONG = Reply(500, "5.5.2", ("line too long",))
AUTH_TOO_LONG = Reply(500, "5.5.6", ("authentication exchange line is too long",))
NOT_MAIL = Reply(421, "4.7.0", ("this is not the protocol spoken here",))
TOO_MANY_ERRORS = Reply(421, "4.7.0", ("too many errors",))
TOO_MANY_MAILS = Reply(421, "4.5.3", ("too many messages in one session, begin another",))
TOO_MANY_DOMAINS = Reply(452, "4.5.3", ("too many domains among the recipients",))
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", ("too many recipients",))
NO_ARGUMENT = Reply(501, "5.5.4", ("no argument is allowed here",))
NEEDS_ARGUMENT = Reply(501, "5.5.4", ("an argument is needed",))
NOT_OFFERED = Reply(502, "5.5.1", ("not offered here",))
BINARY_WANTS_BDAT = Reply(503, "5.5.1", ("BODY=BINARYMIME goes by BDAT",))
ALREADY_AUTHENTICATED = Reply(503, "5.5.1", ("already authenticated",))
AUTH_CANCELLED = Reply(501, "5.7.0", ("authentication cancelled",))
NO_SUCH_MECHANISM = Reply(504, "5.5.4", ("that mechanism is not offered",))
STARTTLS_FIRST = Reply(530, "5.7.0", ("must issue a STARTTLS command first",))
TLS_FIRST = Reply(538, "5.7.11", ("encryption is needed for that mechanism",))
NO_MEMORY = Reply(452, "4.3.1", ("too much mail is coming in, try again later",))
BARE_IN_CONTENT = Reply(550, "5.6.0", ("bare CR, bare LF or NUL in the message",))
TEXT_TOO_LONG = Reply(500, "5.6.0", ("a line of the message is too long",))
TOO_MANY_HOPS = Reply(554, "5.4.6", ("too many hops, this message is looping",))
