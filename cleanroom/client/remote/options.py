"""What bases and questions can be told, in one place for everyone who takes it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from cleanroom.client.remote.tables import Mode, On

OverShared = Literal["junk"] | None
AgencyAction = Literal["upload", "request", "ask"]


class LoadOptions(TypedDict, total=False):
    """How data are loaded.

    Attributes:
        over_shared: `junk` ignores key values with too many holders; without it they are an error to decide on.
        wait: seconds to wait at most until the room has loaded the file; 3600 when not given.
    """

    over_shared: OverShared
    wait: float


class UploadOptions(LoadOptions, total=False):
    """How data are loaded into what is registered.

    Attributes:
        mode: `delta` changes the current version by person_id: rows are added or replace a person's, or delete it
            where their column `_op` says `delete`; `full`, when not given, replaces the version.
    """

    mode: Mode


class BaseOptions(LoadOptions, total=False):
    """How a base is made.

    Attributes:
        on: its match keys: `"phone"`, `["email", "phone"]`, or identifiers to columns, `{"phone": "Mobile"}`.
        schema: instead of all the following, a schema as plain data.
        label: the column that marks rows, to count each label apart.
        labels: the values of that column.
        default_region: the country of phone numbers that are written without one, such as `RU`.
        lawful_basis: why the advertiser may process these people's data; `consent` when not given.
        name: for people.
    """

    on: On
    schema: Mapping[str, Any]
    label: str
    labels: Sequence[str]
    default_region: str
    lawful_basis: str
    name: str


class AskOptions(BaseOptions, total=False):
    """How a question is asked, besides how its base is made.

    Attributes:
        base: the id of a base that is in the room, instead of data.
        purpose: of the processing; can be left out where the listing offers one only.
        segments: names to conditions.
        breakdowns: groups of attributes whose cells are counted.
        sums: attributes to add up.
        precision: `rough`, `normal` or `fine`.
        half_width: instead, people either side of a figure.
        percent: instead, percent of `expected`.
        expected: how large the figure is expected to be, in people.
        labels_counted: whether the base's labels are counted.
        per_key: whether each match key is counted apart.
        affinity: whether a profile is compared with the whole dataset.
        sizes: true counts to tell the chance of suppression and the price at.
        expected_sizes: people expected, by a figure's name; an estimate then says which bands to merge.
    """

    base: str
    purpose: str
    segments: Mapping[str, Any]
    breakdowns: Sequence[Sequence[str]]
    sums: Sequence[str]
    precision: Literal["rough", "normal", "fine"]
    half_width: int
    percent: int
    expected: int
    labels_counted: bool
    per_key: bool
    affinity: bool
    sizes: Sequence[int]
    expected_sizes: Mapping[str, int]


class RequestOptions(TypedDict, total=False):
    """What an entitlement is asked for; what is left out comes from the listing where it leaves no choice.

    Attributes:
        plan: the key of one of the listing's tariffs.
        purposes: within the listing's.
        kinds: of analysis; all of the listing's when not given.
        size: of the budget: S, M or L; the smallest that is offered when not given.
        days: the term; the longest when not given.
        questions: at most so many.
        note: to the provider.
    """

    plan: str
    purposes: Sequence[str]
    kinds: Sequence[str]
    size: Literal["S", "M", "L"]
    days: int
    questions: int
    note: str


class Options(TypedDict, total=False):
    """Who calls which room, where the profile or the environment does not say it, or says otherwise.

    Attributes:
        profile: the name of a saved profile.
        client_id: `cl_...`.
        client_secret: of the client.
        client_key: instead, the path of its private JWK.
        advertiser: whom an agency acts for, `org_...`.
        verifier_key: of the room, to prove receipts.
        progress: whether to show bars; on a terminal when not given.
    """

    profile: str
    client_id: str
    client_secret: str
    client_key: str
    advertiser: str
    verifier_key: str
    progress: bool
