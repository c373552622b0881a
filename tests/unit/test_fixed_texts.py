"""Texts that are put into a template when it is compiled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from jinja2 import DictLoader, Environment

from consent_app import language, site
from consent_app.fixed_texts import FixedTexts, fix

if TYPE_CHECKING:
    from collections.abc import Callable


def rendered(source: str, asked: list[str], **values: object) -> str:
    """What ``source`` becomes, twice; ``asked``: which texts were looked up, and when."""
    templates = Environment(
        loader=DictLoader({"x": source}), autoescape=True, extensions=[FixedTexts]
    )
    templates.globals["_"] = templates.globals["other"] = lambda text: f"later {text}"

    def look_up(text: str) -> str:
        asked.append(text)
        return f"<b>{text}</b>"

    fix(templates, {"_": look_up})
    first, again = (templates.get_template("x").render(values) for _ in range(2))
    assert first == again
    return first


def test_a_constant_text_is_looked_up_once_and_is_markup() -> None:
    asked: list[str] = []
    assert rendered('1 {{ _("A") }}{{_("B")}}\n', asked) == "1 <b>A</b><b>B</b>"
    assert asked == ["A", "B"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ _(name) }}", "later N"),
        ('{{ _("A") ~ name }}', "later AN"),
        ('{{ other("A") }}', "later A"),
        ('{{ _("A" ~ name) }}', "later AN"),
        ('{% set x = _("A") %}{{ x }}', "later A"),
        ("{{ name }}{{", None),
        ("{{ name }} _(", "N _("),
    ],
)
def test_what_is_not_constant_is_asked_for_each_page(source: str, text: str | None) -> None:
    asked: list[str] = []
    if text is None:
        with pytest.raises(Exception, match="end of"):
            rendered(source, asked)
    else:
        assert rendered(source, asked, name="N") == text
    assert asked == []


def test_without_anything_fixed_a_template_is_as_it_stands() -> None:
    templates = Environment(autoescape=True, extensions=[FixedTexts])
    templates.globals["_"] = str.upper
    assert templates.from_string('{{ _("a") }}').render() == "A"


@pytest.mark.parametrize("name", language.LANGUAGES)
def test_a_page_says_the_same_as_the_catalogue(name: str) -> None:
    texts = language.catalogue(name)
    templates = site.environment(texts, site.load_static())
    source = '{{ _("Settings") }}|{{ static("mark.svg") }}'
    plain = templates.from_string('{{ _(text) }}|{{ static("mark" ~ ".svg") }}')
    found = templates.from_string(source).render()
    assert found == plain.render(text="Settings")
    assert found.startswith(f"{texts.gettext('Settings')}|/static/mark.svg?v=")


@pytest.mark.parametrize("name", language.LANGUAGES)
def test_a_reason_is_called_the_same_when_it_is_chosen_and_afterwards(name: str) -> None:
    templates = site.environment(language.catalogue(name), site.load_static())
    source = templates.loader.get_source(templates, "request.html")[0] if templates.loader else ""
    options = re.findall(r'<option value="(\w+)">(\{\{ _\("[^"]+"\) \}\})</option>', source)
    assert len(options) == 7
    reason: Callable[..., str] = templates.from_string(
        '{% import "parts.html" as parts with context %}{{ parts.reason(code) }}'
    ).render
    for code, option in options:
        assert templates.from_string(option).render() == reason(code=code).strip()
