"""Errors of the backup slice."""

from cleanroom.errors import CleanroomError


class NotARepositoryError(CleanroomError):
    """A directory is no repository of this room's backups."""

    code = "backup.no_repository"


class UnknownBackupError(CleanroomError):
    """The repository has no such backup."""

    code = "backup.unknown"


class DamagedBackupError(CleanroomError):
    """A part of a backup is missing or was changed."""

    code = "backup.damaged"


class BackupBusyError(CleanroomError):
    """Another process writes into the repository, or the room's keys and files moved again and again meanwhile."""

    code = "backup.busy"


class KeyPolicyError(CleanroomError):
    """Keys are to be kept without a recipient, or to be put back without an identity."""

    code = "backup.key_policy"


class NotEmptyError(CleanroomError):
    """There is something already where a backup is to be put back."""

    code = "backup.not_empty"
