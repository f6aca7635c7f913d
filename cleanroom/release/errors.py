"""Errors of the release gate."""

from cleanroom.errors import CleanroomError


class CalibrationError(CleanroomError):
    """No noise fits the budget that was asked for."""

    code = "release.calibration"


class ReceiptError(CleanroomError):
    """A receipt does not prove what it says."""

    code = "release.receipt_invalid"
