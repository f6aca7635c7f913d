"""Published TCF and GPP strings are read as their authors read them, and damaged ones not at all.

Strings and values: the specifications' own examples, and the tests of IAB Tech Lab's reference libraries
(iabtcf-java, iabgpp-es, Apache 2.0).
"""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.consent.errors import SignalError
from cleanroom.consent.signals.bits import Bits
from cleanroom.consent.signals.gpp import OptOut, parse_gpp
from cleanroom.consent.signals.tcf import parse_tcf

CORE = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA"
BIT_FIELDS = "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA"
FULL = (
    "CPi8wgAPi8wgAAOACBENCuCoAP_AAEfAACiQJHNd_H__bX9n-f7_6ft0eY1f9_r37uQzDhfNk-8F3L_W_LwX_2E7NF36tq4KmR4ku1LBIUNtHMnUDUmxaokVrzHsak2"
    "cpzNKJ_BkknsZe2dYGF9vm5tj-QKZ7_5_d3f52T_9_9v-39z33913v3d93-_13LjdV5_9H_v9fR_b8_Kf9_5-_4v8_____3_e______8AEEggCTDVuIAuxLHAm0DCKBE"
    "CMKwkKoFABBQDC0QGADg4KdlYBPrCBAAgFAEYEQIcAUYEAgAAAgCQiACQIsEAAAIgEAAAIAEQiEABAwCCgAsDAIAAQDQMUQoABAkIMiAiKUwICIEggJbKhBKC6Q0wgCr"
    "LACgkRsFAAiAAAUgACAsHAMESAlYsECTFG-QAjBCgFEqFaAGGgAwABBI4RABgACCRwqADAAEEjgA"
)


def test_the_core_of_a_tc_string_is_read_field_by_field():
    read = parse_tcf(CORE)
    assert read.created == datetime(2020, 1, 26, 17, 1, tzinfo=UTC)
    assert read.updated == datetime(2021, 2, 2, 17, 1, tzinfo=UTC)
    assert (read.cmp_id, read.cmp_version, read.screen) == (675, 2, 1)
    assert (read.language, read.vendor_list, read.policy, read.country) == ("EN", 15, 2, "AA")
    assert not read.service_specific


def test_purposes_and_vendors_of_bit_fields():
    read = parse_tcf(BIT_FIELDS)
    assert read.purposes == {3, 4, 5, 6, 7, 8, 9}
    assert read.vendors == {23, 37, 47, 48, 53, 65, 98}
    assert read.vendors_legitimate == {37, 47, 48, 53, 65, 98, 129}


def test_a_long_string_of_a_real_platform():
    read = parse_tcf(FULL)
    assert read.purposes == set(range(1, 11))
    assert read.legitimate == {2, 6, 7, 8, 9, 10}
    assert read.special_features == {1}
    assert len(read.vendors) == 772
    assert (read.cmp_id, read.vendor_list, read.country, read.service_specific) == (14, 174, "US", True)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("DBAA", []),
        ("DBABM~" + CORE, [2]),
        ("DBACNY~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", [2, 6]),
        ("DBABjw~BPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA~1YNN", [5, 6]),
        ("DBABTA~1YNN", [6]),
    ],
)
def test_a_gpp_header_names_its_sections(text, ids):
    assert list(parse_gpp(text).sections) == ids


def test_the_european_section_of_a_gpp_string_is_a_tc_string():
    assert parse_gpp("DBABM~" + FULL).tcf_eu == parse_tcf(FULL)


@pytest.mark.parametrize(
    ("section", "opt_outs", "gpc", "out"),
    [
        ("BVVVkkkkkpFY.YA", (1, 1, 1), True, True),
        ("BVQqAAAACg", (2, 2, 2), None, False),
        ("BVQqAAAAAgA.QA", (2, 2, 2), False, False),
        ("BAAAAAAAAABA", (0, 0, 0), None, False),
    ],
)
def test_opt_outs_of_the_us_national_section(section, opt_outs, gpc, out):
    read = parse_gpp(f"DBABL~{section}").us_national
    assert read is not None
    assert (read.sale, read.sharing, read.targeted_advertising) == tuple(map(OptOut, opt_outs))
    assert (read.gpc, read.opted_out) == (gpc, out)


@pytest.mark.parametrize(
    ("bits", "number"), [("11", 1), ("011", 2), ("0011", 3), ("1011", 4), ("00011", 5), ("10011", 6)]
)
def test_fibonacci_numbers_of_the_specification(bits, number):
    padded = bits + "0" * (-len(bits) % 6)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = "".join(letters[int(padded[at : at + 6], 2)] for at in range(0, len(padded), 6))
    assert Bits(text).fibonacci() == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "C",
        CORE[:20],
        CORE + "=",
        CORE + " ",
        CORE.replace("CO", "BO"),
        CORE + ".+",
        "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA",
        ".".join([CORE] * 5),
    ],
)
def test_what_is_no_tc_string_is_refused(text):
    with pytest.raises(SignalError):
        parse_tcf(text)


@pytest.mark.parametrize(
    "text",
    ["", "z", "invalid gpp string", CORE, "DBABM", "DBAA~1YNN", f"DBABM~{CORE}~1YNN", "DBABL~BVVXkkkkkpFY"],
)
def test_what_is_no_gpp_string_is_refused(text):
    with pytest.raises(SignalError):
        parse_gpp(text)


@given(st.text(alphabet="ABCDab01-_.~", max_size=80))
def test_whatever_comes_is_read_or_refused_and_nothing_else(text):
    for parse in (parse_tcf, parse_gpp):
        with suppress(SignalError):
            parse("CO" + text if parse is parse_tcf else "DBA" + text)
