"""The root of this library's errors; the messages name limits and remedies, never data."""


class PolicyError(Exception):
    """An error of a question or of a policy document.

    Attributes:
        code: stable, `policies.reason`.
        message: what is wrong and the limit that was passed; never data about a person.
        remedy: what to do next; empty when nothing can be done.
    """

    code = "policies.error"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


class QuestionError(PolicyError):
    """A question cannot be understood: its form, an attribute, an operator or a literal's type."""

    code = "policies.question"


class NestingError(QuestionError):
    """A question or a document is nested deeper than the limit."""

    code = "policies.nesting"


class PolicyFormatError(PolicyError):
    """A policy document cannot be understood: its form, a rule's tag or a rule's limit."""

    code = "policies.format"


class PrecisionError(PolicyError):
    """A noise scale or a budget was asked for that no mechanism here provides."""

    code = "policies.precision"
