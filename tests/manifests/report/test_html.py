"""Text never becomes markup."""

from __future__ import annotations

from manifests.report.html import Html, join, tag


def test_content_and_attributes_are_escaped() -> None:
    element = tag("p", "<script>&", title='"><img src=x onerror=1>', class_="a", aria_label="b", hidden=None)
    assert element == (
        '<p title="&quot;&gt;&lt;img src=x onerror=1&gt;" class="a" aria-label="b">&lt;script&gt;&amp;</p>'
    )


def test_markup_made_by_tag_stays_markup() -> None:
    assert tag("p", tag("b", "a"), join([Html("<br>"), "<"])) == "<p><b>a</b><br>&lt;</p>"


def test_characters_that_hide_or_break_a_text_become_spaces() -> None:
    assert tag("p", "a\x00b\u202ec\ud800d\n") == "<p>a b c d\n</p>"


def test_coordinates_are_short_and_void_elements_are_not_closed() -> None:
    assert tag("rect", x=1.0, y=0.123456) == '<rect x="1" y="0.12"></rect>'
    assert tag("img", src="data:,") == '<img src="data:,">'
