"""What is in the memory of processes that hold keys or shares, kept off the disk."""

import resource


def forbid_core_dumps() -> None:
    """Have the kernel write no memory of this process, and of those that it starts, into a file when it crashes.

    It cannot be undone: the hard limit falls too. Swap and hibernation are the machine's to encrypt.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
