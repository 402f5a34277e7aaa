import pytest

from tasks.text.people import Hidden, without_mail

PEOPLE = Hidden(["ann-lee", "Bo", "renovate[bot]", "get", "ann-lee"])


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("@ann-lee said so, and Bo too.", "Person 1 said so, and Person 2 too."),
        ("cc @somebody-else, ask bo@acme.example", "cc [person], ask [e-mail]"),
        ("`@get` of `@scope/package` by @get", "`@get` of `@scope/package` by Person 3"),
        ("```py\n@get\ndef f(): ...  # ann-lee\n```\n@get", "```py\n@get\ndef f(): ...  # Person 1\n```\nPerson 3"),
        ("use @angular/core, @pytest.fixture and @cache(1)", "use @angular/core, @pytest.fixture and @cache(1)"),
        ("to get it, @Get. Or @get.", "to get it, [person]. Or Person 3."),
        ("renovate[bot] opened it", "renovate[bot] opened it"),
        ("```\n@open", "```\n@open"),
    ],
)
def test_people_of_a_forge_are_hidden(text: str, hidden: str) -> None:
    assert PEOPLE.markdown(text) == hidden


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "Fine.\n\nOn Tue, Feb 3, 2015 at 10:00 AM, Ann Lee <\nreply@acme.example> wrote:\n> Is it?\n> So?\n",
            "Fine.\n\n",
        ),
        ("On 3 May 2015, Bo wrote:\n> Is it?\n\nYes.", "\nYes."),
        ("Gut.\n-------- Ursprüngliche Nachricht --------Von: Ann Lee\nIst es?", "Gut.\n"),
        ("On 3.11 nobody wrote: nothing", "On 3.11 nobody wrote: nothing"),
        ("On and on they wrote:\nyes", "On and on they wrote:\nyes"),
    ],
)
def test_answer_by_mail_loses_the_mail_that_it_answers(text: str, left: str) -> None:
    assert without_mail(text) == left


def test_program_keeps_its_name() -> None:
    assert [PEOPLE.name(name) for name in ("Bo", "renovate[bot]", None)] == ["Person 2", "renovate[bot]", None]
