"""What can go wrong, named by the fact. The text is the private cause, for the log alone."""

from __future__ import annotations


class SimAdapterError(Exception):
    """The root of the tree."""

    @property
    def cause(self) -> str:
        """The private cause."""
        return str(self)


class InvalidInput(SimAdapterError):
    """Something that came from outside cannot be what it says it is."""


class BodyTooLarge(InvalidInput):
    """A body is longer than its bound."""


class MediaTypeUnsupported(InvalidInput):
    """A body is of another kind than the address takes."""


class TextRefused(InvalidInput):
    """The text cannot be shown on the phone; ``reason`` says why, for programs."""

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__(cause)
        self.reason = reason


class OperatorUnknown(InvalidInput):
    """No operator of this name, or none for this number."""


class DeadlinePassed(InvalidInput):
    """The deadline is over or too far away."""


class Unauthorized(SimAdapterError):
    """The bearer secret is missing or wrong."""


class TransactionUnknown(SimAdapterError):
    """There is no transaction or registration with this id."""


class TransactionConflict(SimAdapterError):
    """The id belongs to another body."""


class TransactionOver(SimAdapterError):
    """The transaction has its end already."""


class SimBusy(SimAdapterError):
    """The SIM has an open transaction."""


class Unavailable(SimAdapterError):
    """Something this program stands on does not answer."""


class OperatorFault(SimAdapterError):
    """A call to an operator gave no answer that can be used; subclasses say what happened."""


class OperatorUnreachable(OperatorFault):
    """No connection, or the operator's front end turned it away: nothing was taken."""


class OperatorSlow(OperatorFault):
    """The call was sent and no answer came in time: whether it was taken is unknown."""


class OperatorAnswerInvalid(OperatorFault):
    """The answer is no message of TS 102 204."""


class OperatorAnswerMismatch(OperatorFault):
    """The answer speaks of another request, number or transaction than the one asked about."""
