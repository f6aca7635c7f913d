"""Errors of the marketplace slice."""

from cleanroom.errors import CleanroomError


class ListingFormError(CleanroomError):
    """A listing says something that cannot be offered: a missing text, an attribute, a purpose, a segment."""

    code = "marketplace.bad_listing"


class PlanFormError(CleanroomError):
    """A price plan cannot be understood, or charges nothing it could."""

    code = "marketplace.bad_plan"


class UnknownListingError(CleanroomError):
    """No listing of this id is offered to this organisation."""

    code = "marketplace.unknown_listing"


class ListingStateError(CleanroomError):
    """A listing cannot go from its state to the one asked for, or not by this person."""

    code = "marketplace.listing_state"


class RequestFormError(CleanroomError):
    """A request asks for what its listing does not offer."""

    code = "marketplace.bad_request"


class UnknownRequestError(CleanroomError):
    """No request of this id concerns this organisation."""

    code = "marketplace.unknown_request"


class RequestStateError(CleanroomError):
    """A request was decided or withdrawn before."""

    code = "marketplace.request_state"


class MandateMissingError(CleanroomError):
    """An agency acts for an advertiser without a mandate in force."""

    code = "marketplace.no_mandate"


class VerificationError(CleanroomError):
    """A listing is for verified buyers, and this one is not."""

    code = "marketplace.not_verified"


class MoneyCapError(CleanroomError):
    """A plan's fixed charges, or a question, pass what a mandate lets its agency spend."""

    code = "marketplace.money_cap"


class UnknownEntitlementError(CleanroomError):
    """No entitlement of this id concerns this organisation."""

    code = "marketplace.unknown_entitlement"


class MonthError(CleanroomError):
    """A text is not a month."""

    code = "marketplace.bad_month"


class PageError(CleanroomError):
    """A search or a page of a list is asked for in a form that cannot be given."""

    code = "marketplace.bad_page"
