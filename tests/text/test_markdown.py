from hypothesis import given
from hypothesis import strategies as st

from tasks.text.markdown import Heading, headings, sections

PAGE = """intro

# Setup
text
```sh
# not a heading
```
## Install ##
more

Deploy
======
end
"""


def test_headings_know_levels_and_skip_fenced_code() -> None:
    assert headings(PAGE) == [Heading(1, "Setup", 3), Heading(2, "Install", 8), Heading(1, "Deploy", 11)]


def test_sections_carry_the_titles_above_them() -> None:
    assert [(section.titles, section.first_line, section.last_line) for section in sections(PAGE)] == [
        ((), 1, 2),
        (("Setup",), 3, 7),
        (("Setup", "Install"), 8, 10),
        (("Deploy",), 11, 14),
    ]


@given(st.text(alphabet="#=-`~ \nab"))
def test_sections_join_to_the_page(text: str) -> None:
    assert "\n".join(section.text for section in sections(text)) == text
