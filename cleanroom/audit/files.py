"""Checking sealed files against the hashes that SQL keeps, and the list of them against the log."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cleanroom.audit.types import Problem
from cleanroom.errors import CleanroomError
from crypto.errors import CryptoError
from crypto.sealed import ciphertext_sha256


@dataclass(frozen=True)
class PublishedFiles:
    """The sealed files of one published thing, as SQL lists them.

    Attributes:
        subject_id: the version (or consent epoch) that they belong to.
        files_root: the hash over the list, recomputed from SQL's rows; the event that published them states
            the same one, so that a file cannot be exchanged together with its row.
        files: object keys with the ciphertext hash of each file, hex.
    """

    subject_id: str
    files_root: str
    files: Iterable[tuple[str, str]]


def verify_files(
    published: Iterable[PublishedFiles], *, path_of: Callable[[str], Path], stated_roots: Mapping[str, str]
) -> Iterator[Problem]:
    """Check every sealed file that SQL names; no key is needed.

    Args:
        published: what SQL lists.
        path_of: gives the path of an object; raises FileNotFoundError when it is missing.
        stated_roots: `file_roots` of a verified log's report.

    Yields:
        A problem for each file that is missing or changed, and each list that is not the stated one, or gone.
    """
    # An empty one states that the files were deleted.
    missing = {subject_id for subject_id, root in stated_roots.items() if root}
    for item in published:
        missing.discard(item.subject_id)
        if stated_roots.get(item.subject_id) != item.files_root:
            yield Problem(
                "files", item.subject_id, "the list of sealed files is not the one that the log states"
            )
        for key, digest in item.files:
            reason = _fault(key, digest, path_of)
            if reason:
                yield Problem("file", key, reason)
    for subject_id in sorted(missing):
        yield Problem("files", subject_id, "the log states a list of sealed files, and there is none")


def _fault(key: str, digest: str, path_of: Callable[[str], Path]) -> str:
    try:
        found = ciphertext_sha256(path_of(key))
    except FileNotFoundError:
        return "the sealed file is missing"
    except (CleanroomError, CryptoError, OSError) as error:
        return f"the sealed file cannot be read ({type(error).__name__})"
    return "" if found == digest else "the sealed file was changed"
