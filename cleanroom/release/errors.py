"""Errors of the release gate."""

from cleanroom.errors import CleanroomError


class CalibrationError(CleanroomError):
    """No noise fits the budget that was asked for."""

    code = "release.calibration"
