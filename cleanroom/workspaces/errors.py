"""Errors of the workspaces slice."""

from cleanroom.errors import CleanroomError


class UnknownWorkspaceError(CleanroomError):
    """No workspace has this id."""

    code = "workspaces.unknown"


class UnknownPopulationError(CleanroomError):
    """The organisation has no population with this id."""

    code = "workspaces.unknown_population"


class WorkspaceNameError(CleanroomError):
    """A workspace's name is empty or too long."""

    code = "workspaces.bad_name"


class WorkspaceDestroyedError(CleanroomError):
    """The workspace's keys were destroyed; nothing in it can be read any more."""

    code = "workspaces.destroyed"


class NoRotationError(CleanroomError):
    """No rotation of the workspace's key-encryption key is under way."""

    code = "workspaces.no_rotation"


class UnknownSecretError(CleanroomError):
    """The workspace has no secret of this version."""

    code = "workspaces.unknown_secret"
