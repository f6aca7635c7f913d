"""What is kept in memory stays within its bound, and goes in the order in which it was used."""

from cleanroom.remembered import Remembered


def test_the_least_recently_used_goes_first():
    kept = Remembered[str, int](2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1

    kept.put("c", 3)

    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)


def test_all_values_together_weigh_no_more_than_the_bound():
    kept = Remembered[str, str](5, len)
    kept.put("a", "xx")
    kept.put("b", "xx")
    kept.put("c", "xxxx")
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (None, None, "xxxx")

    kept.put("d", "x")
    assert (kept.get("c"), kept.get("d")) == ("xxxx", "x")


def test_what_is_too_heavy_is_given_back_and_not_kept():
    kept = Remembered[str, str](3, len)
    kept.put("a", "xx")
    assert kept.put("b", "xxxx") == "xxxx"
    assert (kept.get("a"), kept.get("b")) == ("xx", None)


def test_a_value_put_again_is_weighed_once():
    kept = Remembered[str, str](4, len)
    for value in ("xxx", "yy", "zzz"):
        kept.put("a", value)
    kept.put("b", "x")
    assert (kept.get("a"), kept.get("b")) == ("zzz", "x")
