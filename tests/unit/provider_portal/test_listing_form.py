"""What the form of a listing says of a field, in place of the listing's own words for programs."""

import pytest

from cleanroom.marketplace.offerable import Offerable
from provider_portal.cabinet.listing_form import FieldError, ListingForm, form_of
from tests.market import content

OFFER = Offerable("ds_1", "people", ("advertising",), ("overlap",), {})


@pytest.fixture
def filled() -> ListingForm:
    return form_of(content(segments=[], templates=[]), OFFER, "en", frozenset())


def test_a_form_that_was_filled_with_a_wording_makes_it_again(filled: ListingForm) -> None:
    assert filled.content() == content(segments=[], templates=[])


@pytest.mark.parametrize(
    ("emptied", "label"),
    [
        ("title.ru", "Title in Russian"),
        ("title.en", "Title in English"),
        ("purpose:", "Purposes"),
        ("kind:", "Kinds of questions"),
        ("size:", "Sizes of budgets"),
        ("plans", "Tariffs"),
        ("plans.0.key", "Key"),
    ],
)
def test_what_every_listing_has_is_asked_for_by_the_name_of_its_field(
    filled: ListingForm, emptied: str, label: str
) -> None:
    left = {
        name: value
        for name, value in filled.fields.items()
        if name != emptied and not (emptied.endswith(":") and name.startswith(emptied))
    }
    with pytest.raises(FieldError) as raised:
        ListingForm(left, "en", OFFER).content()
    assert raised.value.label == label


def test_a_key_of_other_letters_is_told_with_its_row(filled: ListingForm) -> None:
    with pytest.raises(FieldError, match="small letters") as raised:
        ListingForm({**filled.fields, "plans.0.key": "Monthly"}, "en", OFFER).content()
    assert raised.value.row == 1
