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
