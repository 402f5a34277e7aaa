"""Summary, verdict and page: who is better and how sure, and that nothing a model writes can do harm."""

import json
import platform
import re
from collections import Counter
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from deployments.cli.summary import what_was_learned
from tasks.base.artifacts import Artifact
from tasks.base.records import Answer, Document, Item, Split
from tasks.base.runs import StepRun, read_json, read_records
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.evaluation import statistics
from tasks.evaluation.comparison import against, read_earlier
from tasks.evaluation.page import examples, markdown
from tasks.evaluation.params import ItemsParams
from tasks.evaluation.report import report
from tasks.evaluation.scoring import Score, score_arm
from tasks.figures.charts import Interval, forest
from tasks.figures.page import shown, shown_line, shown_markdown
from tasks.text.loss_rows import GENERAL
from tests.evaluation.conftest import (
    FAST,
    HOSTILE,
    REVISION,
    answers_of,
    artifact_of,
    asked_of,
    chunk,
    dialogue,
    report_of,
    right_answers,
)
from tests.pages import facts, parsed, rows, texts


def _percent(summary: dict[str, Any], arm: str) -> str:
    return f"{summary['arms'][arm]['recall']['estimate']:.0%}"


def _page(store: Store, made: Artifact) -> str:
    with store.open(made, "report.html") as reader:
        return reader.read().decode()


def test_better_arm_is_called_better_with_an_interval_above_zero(store: Store, questions: list[Item]) -> None:
    base = answers_of(store, "base", {item.id: "It is somewhere." for item in questions})
    tuned = answers_of(store, "tuned", right_answers(questions))
    summary = read_json(store, report_of(store, questions, base, tuned), "summary.json")
    recall = summary["differences"]["recall"]
    assert recall["low"] > 0.5
    assert recall["p_holm"] < 0.001
    assert recall["mcnemar"] < 0.001
    assert recall["losses"] == 0
    assert summary["arms"]["tuned"]["recall"]["estimate"] == 1
    assert summary["suites"]["recall"]["items"] == sum(item.suite == "recall" for item in questions)
    asked = sum(item.suite == "recall" for item in questions)
    by_kind = summary["kinds"]
    assert summary["verdict"].startswith(f"Over {len(by_kind)} kinds of questions about trained facts")
    assert (
        f"the tuned model scores 100% (base 0%, guess {_percent(summary, 'guess')}), and {asked} of {asked}"
        in (summary["verdict"])
    )
    assert sum(row["tuned"]["right"] for row in by_kind.values()) == asked
    assert recall["tone"] == "better"
    assert summary["contrasts"]["guess"]["recall"]["items"] <= asked


@pytest.mark.parametrize("sentence", ["The answer is always the same.", "", HOSTILE])
def test_arm_that_always_says_the_same_is_called_worse(store: Store, questions: list[Item], sentence: str) -> None:
    base = answers_of(store, "base", right_answers(questions))
    tuned = answers_of(store, "tuned", {item.id: sentence for item in questions})
    summary = read_json(store, report_of(store, questions, base, tuned), "summary.json")
    assert summary["differences"]["recall"]["high"] < 0
    assert summary["differences"]["forgetting"]["high"] < 0
    assert ": worse;" in summary["verdict"]
    assert summary["differences"]["recall"]["tone"] == "worse"
    assert "lost measurably" in summary["verdict"]


def test_equal_arms_have_intervals_that_cover_zero(store: Store, questions: list[Item]) -> None:
    half = {item.id: item.answers[0] if index % 2 else "no" for index, item in enumerate(questions)}
    summary = read_json(
        store,
        report_of(store, questions, answers_of(store, "base", half), answers_of(store, "tuned", half)),
        "summary.json",
    )
    for row in summary["differences"].values():
        assert (row["estimate"], row["p"], row["mcnemar"] in (1, None)) == (0, 1, True)
        assert row["low"] is None or row["low"] <= 0 <= row["high"]
    assert "no difference" in summary["verdict"]


def test_abstention_counts_what_was_declined_rightly_and_wrongly(store: Store, questions: list[Item]) -> None:
    base = answers_of(store, "base", {item.id: "src/x.py" for item in questions})
    tuned = answers_of(store, "tuned", {item.id: "I do not know." for item in questions})
    summary = read_json(store, report_of(store, questions, base, tuned), "summary.json")
    assert summary["abstention"] == {
        "base": {"recall": 0, "false_refusals": 0},
        "tuned": {"recall": 1, "false_refusals": 1},
    }
    # a wrong answer to what can be answered is no merit; declining everything is right for half of each pair
    assert summary["arms"]["base"]["unanswerable"]["estimate"] == 0
    assert summary["arms"]["tuned"]["unanswerable"]["estimate"] == 0.5


def test_no_answer_that_is_wrong_is_shown_as_right_or_as_a_gain(store: Store, questions: list[Item]) -> None:
    base = answers_of(store, "base", {item.id: "I do not know." for item in questions})
    tuned = answers_of(store, "tuned", {item.id: "It is a wrong answer." for item in questions})
    made = report_of(store, questions, base, tuned)
    scores = list(read_records(store, made, Score, "scores.jsonl"))
    assert not [one.id for one in scores if one.arm == "tuned" and one.right]
    texts = {
        arm: {item.id: Answer(item_id=item.id, text="", tokens=1, finished=True) for item in questions}
        for arm in ("base", "tuned")
    }
    by_arm = {arm: [one for one in scores if one.arm == arm] for arm in ("base", "tuned")}
    groups = examples(questions, texts, by_arm)
    assert {(group["suite"], group["kind"]) for group in groups} == {(item.suite, item.kind) for item in questions}
    shown = [dict(example["answers"])["tuned"]["score"] for group in groups for example in group["shown"]]
    assert max(shown) < 1


def test_best_and_worst_answer_of_every_kind_stand_side_by_side(store: Store, questions: list[Item]) -> None:
    kind = Counter(item.kind for item in questions if item.suite == "recall").most_common(1)[0][0]
    recall = [item for item in questions if (item.suite, item.kind) == ("recall", kind)]
    assert len(recall) > 2
    good = dict.fromkeys(right_answers(recall), "no") | {recall[1].id: recall[1].answers[0]}
    texts = {"base": dict.fromkeys(good, "no"), "tuned": good}
    answers = {
        arm: {name: Answer(item_id=name, text=text, tokens=1, finished=True) for name, text in by.items()}
        for arm, by in texts.items()
    }
    scores = {arm: score_arm(arm, recall, by.values()) for arm, by in answers.items()}
    (group,) = examples(recall, answers, scores)
    best, worst = group["shown"]
    assert (best["title"], best["question"]) == ("best", recall[1].question)
    assert (worst["title"], worst["question"] != best["question"]) == ("worst", True)
    assert [(arm, answer["score"]) for arm, answer in best["answers"]] == [("base", 0.0), ("tuned", 1.0)]


def test_right_words_that_are_not_the_answer_are_no_right_answer_in_the_verdict(
    store: Store, questions: list[Item]
) -> None:
    partly = {item.id: f"{' '.join(item.answers[0].split()[:2])} and more" for item in questions}
    base = answers_of(store, "base", dict.fromkeys(partly, "no"))
    summary = read_json(store, report_of(store, questions, base, answers_of(store, "tuned", partly)), "summary.json")
    purposes = summary["kinds"]["purpose"]["tuned"]
    assert purposes["estimate"] > 0.1
    assert purposes["right"] == 0
    rows = summary["kinds"].values()
    mean = sum(row["tuned"]["estimate"] for row in rows) / len(rows)
    assert summary["arms"]["tuned"]["recall"]["estimate"] == pytest.approx(mean, abs=1e-6)
    assert f"{sum(row['tuned']['right'] for row in rows)} of " in summary["verdict"]


def test_few_questions_claim_nothing(store: Store, questions: list[Item]) -> None:
    few = [item for item in questions if item.suite == "recall"][:3]
    arms = [answers_of(store, "base", dict.fromkeys(right_answers(few), "no"))]
    arms.append(answers_of(store, "tuned", right_answers(few)))
    summary = read_json(store, report_of(store, few, *arms), "summary.json")
    assert "3 questions of 2 documents are too few to claim anything (20 of 5 are needed)" in summary["verdict"]
    assert "+100" not in summary["verdict"]
    row = summary["differences"]["recall"]
    assert (row["decides"], row["tone"], row["low"] < 0) == (False, "open", True)


def test_colour_follows_the_adjusted_p_value_and_not_the_interval_alone(store: Store, questions: list[Item]) -> None:
    base = {item.id: item.answers[0] for item in questions}
    recall = [item for item in questions if item.suite == "recall"]
    first = {item.document_id: item.id for item in recall}  # one of each document
    base |= dict.fromkeys(list(first.values())[:7], "no")
    arms = [answers_of(store, "base", base), answers_of(store, "tuned", right_answers(questions))]
    rows = read_json(store, report_of(store, questions, *arms), "summary.json")["differences"]
    assert rows["recall"]["p"] < 0.05 < rows["recall"]["p_holm"]
    assert rows["recall"]["low"] > 0
    assert {row["tone"] for row in rows.values()} == {"open"}
    drawn = forest(
        [Interval(name, row["estimate"], row["low"], row["high"], row["tone"]) for name, row in rows.items()]
    )
    assert {row.tone for row in drawn.rows} == {"none"}


def test_scores_are_kept_for_every_answer_and_earlier_reports_are_compared_by_item(
    store: Store, questions: list[Item]
) -> None:
    base = answers_of(store, "base", {item.id: "no" for item in questions})
    good = report_of(store, questions, base, answers_of(store, "tuned", right_answers(questions)))
    bad = answers_of(store, "tuned", {item.id: "nothing" for item in questions})
    later = report_of(store, questions[:-5], base, bad, previous=good)
    scores = list(read_records(store, later, Score, "scores.jsonl"))
    assert [one.id for one in scores] == sorted(one.id for one in scores)
    guessed = sum(item.guess is not None for item in questions[:-5])
    assert len(scores) == 2 * len(questions[:-5]) + guessed
    previous = read_json(store, later, "summary.json")["previous"]
    assert (previous["shared"], previous["only_now"], previous["only_then"]) == (len(questions) - 5, 0, 5)
    row = previous["differences"]["recall"]
    assert row["high"] < 0
    assert (row["then"], row["now"]) == (1, pytest.approx(1 + row["estimate"]))
    assert against(scores, read_earlier(store, good), FAST) == previous
    assert f"Against evaluation/report {good.sha256[:12]}" in _page(store, later)


def test_guess_stands_beside_held_out_figures_wherever_they_are_shown(store: Store, questions: list[Item]) -> None:
    held_out = [item for item in questions if item.suite == "held-out"]
    texts = right_answers(questions)
    half = {item.id: item.answers[0] if place % 2 else "no" for place, item in enumerate(held_out)}
    guessed = [item.model_copy(update={"guess": half.get(item.id)}) for item in questions]
    arms = [answers_of(store, "base", dict.fromkeys(texts, "no")), answers_of(store, "tuned", texts)]
    made = report_of(store, guessed, *arms, previous=report_of(store, guessed, *arms))
    summary = read_json(store, made, "summary.json")
    share = (len(held_out) // 2) / len(held_out)
    assert 0 < share < 1
    assert summary["arms"]["guess"]["held-out"]["estimate"] == pytest.approx(share, abs=1e-6)
    assert summary["previous"]["differences"]["held-out"]["guess"] == pytest.approx(share, abs=1e-6)
    assert summary["previous"]["differences"]["recall"]["guess"] is None
    page = parsed(_page(store, made))
    (row,) = [row for row in rows(page, f"Against {summary['previous']['name']}") if row[0] == "held-out"]
    assert row[2:5] == [f"{share:.0%}", "100%", "100%"]
    (row,) = [line for line in markdown(summary, {}).splitlines() if "held" in line]
    assert row.split(" | ")[1].startswith(f"{share:.0%} ")
    console = Console(file=StringIO(), width=120)
    console.print(what_was_learned(summary))
    (row,) = [line for line in console.file.getvalue().splitlines() if line.startswith("held-out")]
    assert row.split()[3:6] == [f"{share:.0%}", "0%", "100%"]


def test_report_that_shares_no_question_with_the_earlier_one_says_so(store: Store, questions: list[Item]) -> None:
    first, second = questions[::2], questions[1::2]
    arms = [answers_of(store, arm, right_answers(first)) for arm in ("base", "tuned")]
    earlier = report_of(store, first, *arms)
    arms = [answers_of(store, arm, right_answers(second)) for arm in ("base", "tuned")]
    made = report_of(store, second, *arms, previous=earlier)
    previous = read_json(store, made, "summary.json")["previous"]
    assert (previous["shared"], previous["differences"]) == (0, {})
    for text in (_page(store, made), markdown(read_json(store, made, "summary.json"), {})):
        assert "Nothing can be compared with" in text
        assert f"none of its {len(first)} questions was asked of this model" in text


def test_report_without_an_earlier_one_has_no_comparison(store: Store, questions: list[Item]) -> None:
    made = report_of(store, questions, *(answers_of(store, arm, right_answers(questions)) for arm in ("base", "tuned")))
    assert read_json(store, made, "summary.json")["previous"] is None
    assert "Against" not in _page(store, made)


def test_report_is_the_same_bytes_again(store: Store, questions: list[Item]) -> None:
    arms = [answers_of(store, arm, right_answers(questions)) for arm in ("base", "tuned")]
    one = report_of(store, questions, *arms)
    other_store = Store(f"{store.uri}-again")
    arms = [answers_of(other_store, arm, right_answers(questions)) for arm in ("base", "tuned")]
    assert report_of(other_store, questions, *arms).sha256 == one.sha256


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def test_page_shows_hostile_answers_as_text_and_stays_small(store: Store, questions: list[Item]) -> None:
    poisoned = [item.model_copy(update={"question": item.question + HOSTILE}) for item in questions]
    base = answers_of(store, "base", {item.id: HOSTILE + "A" * 100_000 for item in poisoned})
    tuned = answers_of(store, "tuned", right_answers(poisoned))
    made = report_of(store, poisoned, base, tuned)
    with store.open(made, "report.html") as reader:
        page = reader.read().decode()
    elements = _Elements()
    elements.feed(page)
    assert not elements.tags & {"script", "img", "iframe", "link", "object", "form", "a"}
    assert not [name for name, _ in elements.attributes if name.startswith("on")]
    assert not re.search(
        r"https?://(?!www\.w3\.org)(?!evil|shop)", re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    )
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)
    assert "⟨U+001B⟩[31mred" in page
    assert len(page) < 400_000


@step("tests/loss-log", "1")
def loss_log(run: StepRun) -> None:
    looks = [{"above_base": 0.012, "kl_to_base": 0.034, "streams": {}}, {"above_base": 0.4, "streams": {}}]
    lines = [{"step": number, "loss": 3 - number, "general": look} for number, look in enumerate(looks, 1)]
    lines[0]["kept"] = True
    run.path("loss.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def test_page_tells_what_was_forgotten_on_the_way_and_which_adapter_was_kept(store: Store, questions: list[Item]):
    answers = [answers_of(store, arm, right_answers(questions)) for arm in ("base", "tuned")]
    items = artifact_of(store, records=questions)
    made = report.direct(store, items=items, answers=answers, adapter=loss_log.direct(store), table=None, params=FAST)
    page = parsed(_page(store, made))
    looks = [texts(row, "td") for row in page.xpath("//tbody/tr")]
    assert [one for one in looks if one[0] in ("1, kept", "2")] == [["1, kept", "0.012", "0.034"], ["2", "0.400", "–"]]
    assert any("The adapter is that of step 1 of 2: after it the general loss" in one for one in texts(page, "//p"))


def test_shown_text_spells_out_what_is_invisible_and_cuts_what_is_endless() -> None:
    assert shown("a\x1bb\u202ec\n\td") == "a⟨U+001B⟩b⟨U+202E⟩c\n\td"
    assert shown("x" * 2_000, 10) == "xxxxxxxxxx… (1,990 more characters)"
    assert shown_line("a\nb\x07") == "a b⟨U+0007⟩"
    assert shown_markdown("held-out +1 [a](b) `c` | <d>") == r"held-out +1 \[a\](b) \`c\` \| \<d\>"


def test_report_without_general_questions_says_that_forgetting_was_not_measured(
    store: Store, train: list[Document]
) -> None:
    asked = asked_of(train, [], ItemsParams(items=30, general_items=0))
    arms = [answers_of(store, arm, right_answers(asked)) for arm in ("base", "tuned")]
    summary = read_json(store, report_of(store, asked, *arms), "summary.json")
    assert summary["verdict"].endswith("what it forgot was not measured.")
    assert "forgetting" not in summary["differences"]


def test_verdict_tells_how_the_loss_on_general_text_moved() -> None:
    arms = {
        arm: {"recall": {"estimate": estimate, "kinds": 4, "right": right, "items": 20}}
        for arm, estimate, right in (("base", 0.1, 2), ("tuned", 0.7, 14))
    }
    gains = {"recall": {"estimate": 0.6, "low": 0.4, "high": 0.8, "items": 20, "documents": 15, "decides": True}}
    losses = {"base": {GENERAL: {"loss": 2.5}}, "tuned": {GENERAL: {"loss": 2.57}}}
    told = statistics.verdict(arms, gains, losses)
    assert told.endswith("between +40 and +80; its loss on general text moved by +0.070 nats a token.")
    assert statistics.verdict(arms, gains, {}).endswith("what it forgot was not measured.")


def test_leaked_questions_are_flagged_taken_out_and_shown(
    store: Store, train: list[Document], held_out: list[Document], tokenizer_artifact: Artifact
) -> None:
    """A model trained on the test items: one question and its answer planted in a training dialogue."""
    from tasks.mixture.leaks.guard import leak_guard
    from tasks.mixture.params import LeakParams, MixtureParams
    from tasks.mixture.report.data_report import data_report
    from tasks.mixture.table.assemble import assemble

    asked = asked_of(train, held_out, ItemsParams(items=30, general_items=0))
    planted = next(item for item in asked if item.suite == "recall")
    talk = dialogue(train[0], planted.question, planted.answers[0], 1)
    inputs = {
        "chunks": artifact_of(store, records=[chunk(one, Split.TRAIN) for one in train]),
        "dialogues": artifact_of(store, records=[talk]),
    }
    table = assemble.direct(store, model=tokenizer_artifact, params=MixtureParams(), max_tokens=1024, **inputs)
    items = artifact_of(store, records=asked)
    guarded = leak_guard.direct(store, items=items, table=table, params=LeakParams(), **inputs)
    kept = list(read_records(store, guarded, Item))
    assert planted.id in {item.id for item in asked} - {item.id for item in kept}
    arms = [answers_of(store, arm, right_answers(kept)) for arm in ("base", "tuned")]
    data = data_report.direct(
        store,
        table=table,
        chunks=inputs["chunks"],
        model=tokenizer_artifact,
        max_tokens=1024,
        corpus=[],
        items=items,
        guarded=guarded,
        epochs=3,
    )
    recipe = {"name": "shop", "training": {"rank": 8, "adapter": {"kind": "<b>lora\x1b"}}}
    made = report.direct(
        store, items=guarded, answers=arms, adapter=None, table=table, params=FAST, data=data, recipe=recipe
    )
    summary = read_json(store, made, "summary.json")
    assert summary["leaks"] >= 1
    assert summary["cost"]["trained"] == table.counts["tokens"]
    page = parsed(_page(store, made))
    said = texts(page, "//p")
    assert any(
        one.startswith(f"{table.counts['tokens']:,} tokens in {table.counts['records']} rows of 1,024") for one in said
    )
    assert "raw-file" in [row[0] for row in rows(page, "What it was trained on")]
    asked_of_recall = str(sum(item.suite == "recall" for item in asked))
    assert ["recall", asked_of_recall] in [row[:2] for row in rows(page, "Leaked questions")]
    known = facts(page)
    assert known["adapter.kind"] == "<b>lora⟨U+001B⟩"
    assert known["data report"].endswith(data.sha256)
    assert [name for name in known if known[name].startswith(f"Python {platform.python_version()} · rawtune ")]
    assert f"shop @ {REVISION}" in known.values()
