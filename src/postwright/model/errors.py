"""Errors that cross layers. An ordinary outcome (a 4xx reply, an empty queue) is a value and never an exception."""


class PostwrightError(Exception):
    """Base of all errors that Postwright raises on purpose."""


class AddressError(PostwrightError, ValueError):
    """A mailbox or domain is not valid; the text says why, in words fit for a peer."""


class LoginUnavailable(PostwrightError):
    """Whether a login is right cannot be told now (a store does not answer): 454 4.7.0 (RFC 4954 section 6), not 535. The text is ours."""


class SpoolError(PostwrightError):
    """The spool could not do what was asked; nothing was promised."""


class SpoolFull(SpoolError):
    """Free space is below `min-free-space` (or the disk is full): answer 452, keep nothing."""


class SpoolBroken(SpoolError):
    """Writing failed (EIO and the like): answer 451, keep nothing."""


class SuppressionError(PostwrightError):
    """The suppression store could not be read or written: what it would say of a recipient is not known."""
