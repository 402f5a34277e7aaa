"""Pure functions of the room: text in, text out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.synthesis.checks import identifiers, language, problem
from tasks.synthesis.drafts import Draft, fence, runs_of_lines, spread
from tasks.synthesis.duplicates import Asked
from tasks.synthesis.evidence import NOWHERE, locate, windows
from tasks.synthesis.index import candidates
from tasks.synthesis.manifests import entries
from tasks.synthesis.near_miss import mixed
from tasks.synthesis.pages import code_blocks, links, list_items, plain, prose, sections, sentences
from tests.synthesis.conftest import document

PAGE = """Before.

# Title _of_ `it`

Alpha is a thing. It works! See [the docs](https://a.example/x) and ![img](https://a.example/y.png).

- one
- two
  3) three

```sh
# not a heading
run [x](https://no.example)
```

## Empty
"""


def test_sections_keep_lines_and_ignore_headings_in_code() -> None:
    found = sections(PAGE)
    assert [(s.title, s.level, s.first) for s in found] == [("", 0, 1), ("Title of `it`", 1, 3), ("Empty", 2, 16)]
    assert (found[0].body, found[0].body_first, found[1].body_first, found[2].body) == ("Before.", 1, 5, "")
    assert found[1].body.startswith("Alpha is")
    assert found[1].body.endswith("```")


def test_underlined_headings_open_sections_without_their_line() -> None:
    found = sections("Rocket\n======\n\nIt flies.\n\nFuel\n----\nKerosene.\n")
    assert [(s.title, s.body, s.body_first) for s in found] == [("Rocket", "It flies.", 4), ("Fuel", "Kerosene.", 8)]


def test_pieces_of_a_section_have_their_lines() -> None:
    section = sections(PAGE)[1]
    assert [(piece.text, piece.first) for piece in list_items(section)] == [("one", 7), ("two", 8), ("three", 9)]
    assert [(piece.label, piece.first, piece.last) for piece in code_blocks(section)] == [("sh", 11, 14)]
    assert [(piece.label, piece.text) for piece in links(section)] == [("the docs", "https://a.example/x")]
    (paragraph,) = prose(section)
    assert [piece.text for piece in sentences(paragraph)][:2] == ["Alpha is a thing.", "It works!"]


@pytest.mark.parametrize(
    ("text", "bare"),
    [("**bold** `a_b_c`", "bold `a_b_c`"), ("snake_case_name", "snake_case_name"), ("[a](b) ![c](d)", "a c")],
)
def test_plain_drops_markup_and_keeps_names(text: str, bare: str) -> None:
    assert plain(text) == bare


@given(st.text(alphabet="ab\n", max_size=200), st.integers(1, 30))
def test_runs_of_lines_join_to_the_text_and_fit(text: str, limit: int) -> None:
    runs = runs_of_lines(text, limit)
    assert "\n".join(run for _, _, run in runs) == text.removesuffix("\n")
    assert [first for first, _, _ in runs] == [1, *(last + 1 for _, last, _ in runs[:-1])]
    assert all(len(run) <= limit or first == last for first, last, run in runs)


@given(st.text(alphabet="ab \n", max_size=300), st.integers(1, 50))
def test_windows_fit_and_have_their_lines(text: str, limit: int) -> None:
    lines = text.split("\n")
    for first, last, shown in windows(text, limit):
        assert len(shown) <= limit
        assert "\n".join(lines[first - 1 : last]).startswith(shown)


@given(st.integers(0, 500), st.integers(1, 100))
def test_spread_is_even_and_reaches_the_end(count: int, wanted: int) -> None:
    places = spread(count, wanted)
    assert len(places) == min(count, wanted)
    assert places == sorted(set(places))
    assert all(0 <= place < count for place in places)
    if count > wanted:
        assert places[-1] >= count - count // wanted - 1


@given(st.text(alphabet="abc \n\t", max_size=200), st.integers(0, 200), st.integers(1, 50))
def test_locate_finds_every_part_of_a_text_whatever_its_white_space(text: str, start: int, length: int) -> None:
    quote = text[start : start + length]
    found = locate(text, " ".join(quote.split()))
    if not quote.split():
        assert found == NOWHERE
        return
    first, last = found
    lines = "\n".join(text.split("\n")[first - 1 : last])
    assert " ".join(quote.split()) in " ".join(lines.split())


@given(st.text(alphabet="a`\n", max_size=60))
def test_fence_is_longer_than_any_run_in_the_text(text: str) -> None:
    assert fence(text) not in text


@pytest.mark.parametrize(
    ("path", "module", "expected"),
    [
        ("client/a/b.ts", "../c", "client/c.ts"),
        ("client/a/b.tsx", "./c.css", "client/a/c.css"),
        ("client/a/b.ts", "@/shared/x", "shared/x.tsx"),
        ("tasks/a/b.py", "tasks.base.records", "tasks/base/records.py"),
        ("src/pkg/a.py", "pkg.b", "src/pkg/b.py"),
        ("pkg/sub/a.py", "..other", "pkg/other.py"),
        ("pkg/sub/a.py", ".", "pkg/sub/__init__.py"),
        ("a.ts", "./lib", "lib/index.ts"),
    ],
)
def test_import_candidates_have_the_file(path: str, module: str, expected: str) -> None:
    assert expected in candidates(path, module)


@pytest.mark.parametrize(
    ("name", "other", "fake"),
    [
        ("getThresholds", "formatCurrency", "getCurrency"),
        ("read_records", "write_json", "read_json"),
        ("MAX_SIZE", "minLength", "MAX_LENGTH"),
        ("Tank", "readLevel", "TankLevel"),
        ("run", "walk", "runWalk"),
        ("LIMIT", "minLength", "LIMIT_LENGTH"),
        ("getName", "rename_name", None),
        ("getName", "setName", None),
    ],
)
def test_mixed_name_takes_the_style_of_the_first(name: str, other: str, fake: str | None) -> None:
    assert mixed(name, [other]) == fake


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        (
            "a/package.json",
            '{\n "scripts": {"build": "tsc -p ."},\n "dependencies": {\n  "react": "18.2.0"\n }\n}',
            [("script", "build", "tsc -p .", 2), ("dependency", "react", "18.2.0", 4)],
        ),
        (
            "pyproject.toml",
            '[project]\ndependencies = [\n  "rich>=15",\n  "openai[x] == 3.54.0",\n]\n[project.scripts]\nrun = "m:f"\n',
            [("dependency", "rich", ">=15", 3), ("dependency", "openai", "== 3.54.0", 4), ("script", "run", "m:f", 7)],
        ),
        ("requirements-dev.txt", "# x\npytest==9.2.0  # pinned\n-r other\n", [("dependency", "pytest", "==9.2.0", 2)]),
        (
            "go.mod",
            "module a.b/c\n\nrequire (\n\tgithub.com/x/y v1.2.3\n)\n",
            [("dependency", "github.com/x/y", "v1.2.3", 4)],
        ),
        ("Cargo.toml", '[dependencies]\nserde = "1.0"\n', [("dependency", "serde", "1.0", 2)]),
        ("package.json", "{broken", []),
        ("package.json", "[1]", []),
        ("notes.txt", "pytest==1", []),
    ],
)
def test_manifest_entries_have_values_and_lines(path: str, text: str, found: list[tuple[str, str, str, int]]) -> None:
    assert [(entry.kind, entry.name, entry.value, entry.line) for entry in entries(path, text)] == found


SOURCE = document(
    "src/cart.ts",
    "// The cart sums what is in the basket and the price of it.\nexport function total(items: Item[]) {}\n",
)


@pytest.mark.parametrize(
    ("question", "answer", "evidence", "reason"),
    [
        ("Which function sums up in `src/cart.ts`?", "`total`", "export function total", None),
        ("Which function of rocket sums up the prices?", "`total`", "function  total(items:  Item[])", None),
        ("What does this file do for the basket?", "It sums.", "The cart sums", "no-subject"),
        ("What does the function do with the basket?", "It sums.", "The cart sums", "no-subject"),
        ("Which function sums in `src/cart.ts`?", "`totalPrice`", "export function total", "unknown-identifier"),
        ("Which function sums in `src/cart.ts`?", "total", "export function sum", "not-in-source"),
        ("Which function sums in `src/cart.ts`?", "total, since 2019", "total", "unknown-number"),
        ("Why does `sumAll` of `src/cart.ts` sum?", "total", "total", "unknown-identifier"),
        ("Which function sums and/or adds in `src/cart.ts`?", "total and/or sum", "total", None),
        ("Why?", "total", "total", "question-length"),
        ("Which function sums in `src/cart.ts`?", "x" * 3000, "total", "answer-too-long"),
        ("Which function sums in `src/cart.ts`?", " ", "total", "empty"),
        ("Что делает `src/cart.ts` в этом репозитории, скажи", "Считает", "total", "language"),
    ],
)
def test_check_accepts_or_names_the_reason(question: str, answer: str, evidence: str, reason: str | None) -> None:
    draft = Draft(question, answer, locate(SOURCE.text, evidence), (evidence,))
    found = problem(SOURCE, draft, 2000)
    assert (found[0] if found else None) == reason


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("This is the way that the files of it are read and not by the other.", "en"),
        ("Das ist nicht der Weg, den die Datei von der Anwendung mit dem Test nimmt", "de"),
        ("Le fichier est dans le dossier pour que les tests qui sont avec une page", "fr"),
        ("const x = 1; return y;", None),
    ],
)
def test_language_is_told_from_frequent_words_or_not_at_all(text: str, spoken: str | None) -> None:
    assert language(text) == spoken


def test_question_in_the_documents_own_script_is_no_other_language() -> None:
    text = "このページは manage について書かれています。設定ファイルは client/config.ts です。"
    source = document("docs/ja.md", text)
    draft = Draft("`docs/ja.md` の設定ファイルはどれですか。", "client/config.ts", (1, 1), ("client/config.ts",))
    assert problem(source, draft, 2000) is None


def test_identifiers_are_what_only_code_has() -> None:
    text = "Use `make all` with getName, a_b, src/x.ts and v1.2 but not plain words. ```code_block```"
    assert identifiers(text) == ["make all", "getName", "a_b", "src/x.ts"]


def test_asked_before_ignores_case_and_keeps_other_names_apart() -> None:
    asked = Asked()
    said = "the file reads the configuration of the server from the environment at start"
    assert asked.before("Where is `getName` in rocket?", said, near=True) is None
    assert asked.before("where IS `getName` in rocket", said, near=True) == "duplicate"
    assert asked.before("Say: where is `getName` in rocket?", said, near=True) == "near-duplicate"
    assert asked.before("Where is `getNames` in rocket?", said, near=True) is None
    assert asked.before("Please, where is `getName` in rocket?", said, near=False) is None
    assert asked.before("Where is `Fuel`?", said, near=False) is None
    assert asked.before("Where is `fuel`?", said, near=False) is None
    assert asked.before("Where  is `fuel`?", said, near=False) == "duplicate"


def test_costs_are_exact_decimals() -> None:
    from tasks.llm.calls import Usage
    from tasks.llm.params import PriceParams
    from tasks.llm.prices import prices_of
    from tasks.synthesis.params import SynthesisParams

    table = prices_of(SynthesisParams().server(), "gpt-5-mini")
    assert table.cost(Usage(1_000_000, 500_000, 1_000_000)) == Decimal("2.1375")
    assert prices_of(SynthesisParams(batch=True).server(), "gpt-5-mini").cost(Usage(0, 0, 1_000_000)) == 1
    own = SynthesisParams(prices=PriceParams(input_usd=0.1, output_usd=0.2))
    assert prices_of(own.server(), "mine").cost(Usage(3, 1, 3)) == Decimal("0.0000009")
    assert not prices_of(own.server(), "mine").exact_tokens
