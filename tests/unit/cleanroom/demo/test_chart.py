"""The picture says in words, too, what it shows."""

from xml.etree import ElementTree

from cleanroom.demo.chart import Bar, draw

SVG = "{http://www.w3.org/2000/svg}"
WHOLE = Bar("overlap", 16_606, (16_502, 16_710), 16_482)
PART = Bar("young & free", 1_154, (1_050, 1_258), 1_189)
HIDDEN = Bar("tiny", None, None, 7)


def picture(*bars: Bar) -> ElementTree.Element:
    return ElementTree.fromstring(draw(bars, title="Bars < figures", subtitle="made with noise"))


def texts(svg: ElementTree.Element) -> str:
    return " ".join("".join(node.itertext()) for node in svg.iter(f"{SVG}text"))


def by_class(svg: ElementTree.Element, css: str) -> list[ElementTree.Element]:
    return [node for node in svg.iter() if node.get("class") == css]


def test_it_is_named_and_described_for_those_who_do_not_see_it() -> None:
    svg = picture(WHOLE, PART, HIDDEN)
    assert svg.get("role") == "img"
    titles = {node.get("id"): node.text for node in svg if node.get("id")}
    assert set((svg.get("aria-labelledby") or "").split()) == set(titles)
    assert titles["title"] == "Bars < figures"
    assert titles["description"] == (
        "overlap: 16,606 people, 95% interval 16,502 to 16,710, true count 16,482. "
        "young & free: 1,154 people, 95% interval 1,050 to 1,258, true count 1,189. tiny: suppressed."
    )


def test_bars_are_as_long_as_their_figures() -> None:
    svg = picture(WHOLE, PART)
    (first,), (part,) = by_class(svg, "first"), by_class(svg, "bar")[:-1]
    ratio = float(part.get("width") or 0) / float(first.get("width") or 0)
    assert abs(ratio - 1_154 / 16_606) < 0.001
    # The true count's tick is measured on the same scale, from the same zero.
    tick = float((by_class(svg, "true")[0].get("d") or "")[1:].partition(" ")[0])
    start, length = float(first.get("x") or 0), float(first.get("width") or 0)
    assert abs((tick - start) / length - 16_482 / 16_606) < 0.001


def test_a_suppressed_figure_shows_nothing_but_that_not_even_its_truth() -> None:
    svg = picture(WHOLE, HIDDEN)
    assert len(by_class(svg, "hidden")) == 1
    assert "suppressed" in texts(svg)
    # Two ticks for the whole, in the bar and in the close-up, and the one of the legend.
    assert len(by_class(svg, "true")) == 3


def test_without_a_truth_there_is_neither_a_tick_nor_a_close_up() -> None:
    svg = picture(Bar("overlap", 500, (438, 562), None))
    assert by_class(svg, "true") == by_class(svg, "dot") == []
    assert "true count" not in texts(svg)
    assert len(by_class(svg, "whisker")) == 2


def test_a_picture_of_nothing_but_suppressed_figures_can_be_drawn() -> None:
    assert "suppressed" in texts(picture(HIDDEN))


def test_it_refers_to_nothing_outside_itself_and_follows_the_page_into_the_dark() -> None:
    text = draw((WHOLE,), title="t", subtitle="s")
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "url(" not in text


def test_a_long_name_is_cut_in_the_picture_and_whole_in_the_description() -> None:
    name = "people who bought something in winter"
    svg = picture(Bar(name, 500, (438, 562), None))
    assert "people who bought somethi…" in texts(svg)
    assert name in (svg.findtext(f"{SVG}desc") or "")
