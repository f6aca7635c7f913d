"""Errors of the webhooks slice."""

from cleanroom.errors import CleanroomError


class UnknownEndpointError(CleanroomError):
    """The organisation has no webhook with this id."""

    code = "webhooks.unknown"


class UnknownDeliveryError(CleanroomError):
    """The webhook has no delivery with this id."""

    code = "webhooks.unknown_delivery"


class AddressError(CleanroomError):
    """The room does not call this address."""

    code = "webhooks.bad_address"


class EndpointFormError(CleanroomError):
    """What was said of a webhook cannot be used."""

    code = "webhooks.bad_form"


class TooManyEndpointsError(CleanroomError):
    """The organisation has as many webhooks as it may have."""

    code = "webhooks.too_many"


class EndpointStateError(CleanroomError):
    """The webhook receives nothing now."""

    code = "webhooks.state"
