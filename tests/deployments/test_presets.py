from pathlib import Path

import pytest

from deployments.presets import FOLDER, load_preset, project_of
from deployments.reference import pages
from flows.params import MOVED, DatasetParams
from tasks.base.errors import InputError
from tests.flows.sample_repository import git

PRESETS = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_presets_that_come_with_rawtune():
    assert PRESETS == ["article", "dry-run", "researched"]


@pytest.mark.parametrize("name", PRESETS)
def test_preset_loads(name: str):
    assert load_preset(name).sources


def test_change_reaches_lists_sections_and_types():
    params = load_preset(
        "dry-run",
        ["sources.0.repo=elsewhere", "training.learning_rate=1e-4", "dataset.train_tokens=null", "gate.max_leaks=2"],
    )
    assert params.sources[0].repo == "elsewhere"
    assert params.training.learning_rate == 1e-4
    assert params.dataset.train_tokens is None
    assert params.gate.max_leaks == 2


def test_key_that_moved_into_a_section_is_taken_with_a_line_that_says_where_it_went(caplog: pytest.LogCaptureFixture):
    given = [
        "dataset.stale_pages=drop",
        "dataset.mixture_seed=1",
        "dataset.max_data_bytes=9",
        "dataset.leak_policy=fail",
    ]
    dataset = load_preset("article", given).dataset
    assert (dataset.stale.pages, dataset.mixture.seed) == ("drop", 1)
    assert (dataset.filter.max_data_bytes, dataset.leaks.policy) == (9, "fail")
    said = [line for line in caplog.messages if " is now " in line]
    assert said[-1] == "`dataset.stale_pages` is now `dataset.stale.pages`: taken as that"
    assert len(said) == len(given)


def test_key_that_moved_and_stands_in_both_places_is_refused():
    for other in ("dataset.stale.pages=report", "dataset.stale=null"):
        refusal = r"^\S+: dataset: `stale_pages` is now `dataset\.stale\.pages`; keep one of them$"
        with pytest.raises(InputError, match=refusal):
            load_preset("article", ["dataset.stale_pages=drop", other])


def test_keys_that_moved_have_a_place():
    sections = DatasetParams()
    assert MOVED.keys().isdisjoint(DatasetParams.model_fields)
    for place in MOVED.values():
        section, name = place.split(".")
        assert hasattr(getattr(sections, section), name)


def test_article_preset_is_the_articles_setting():
    training = load_preset("article").training
    assert (training.rank, training.alpha, training.batch_size, training.learning_rate) == (768, 768, 1, 2e-5)
    recipe = {"rank", "alpha", "layers", "batch_size", "learning_rate", "schedule", "warmup_fraction", "epochs"}
    assert recipe <= training.model_fields_set  # none of it hangs on a default


def test_generated_pages_are_current():
    stale = [path.name for path, text in pages().items() if path.read_text("utf-8") != text]
    assert stale == [], "run python -m deployments.reference"


def test_divergence_from_the_base_on_replay_rows_needs_a_replay_stream():
    with pytest.raises(InputError, match=r"training\.kl_weight: there are no replay rows; set dataset\.replay"):
        load_preset("article", ["training.kl_weight=0.1"])
    assert load_preset("article", ["training.kl_weight=0.1", "training.kl_rows=all"]).training.kl_weight == 0.1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["dataset.replay.share=0"], r"dataset\.replay\.share: Input should be greater than 0, not 0$"),
        (["dataset.replay.share=1"], r"dataset\.replay\.share: Input should be less than or equal to 0\.5, not 1$"),
        (
            ["dataset.replay.streams={news: 1}"],
            r"dataset\.replay\.streams\.news\.\[key\]: Input should be 'raw', 'chat'",
        ),
        (
            ["dataset.replay={}", "training.epochs=3"],
            r"training\.epochs: a sample of the base model may be seen once, not",
        ),
    ],
)
def test_replay_that_cannot_be_is_refused_in_one_line(changes: list[str], says: str):
    with pytest.raises(InputError, match=says) as refused:
        load_preset("dry-run", changes)
    assert "\n" not in str(refused.value)


def test_replay_with_soft_targets_may_be_seen_more_than_once():
    assert load_preset("dry-run", ["dataset.replay.soft_targets=20", "training.epochs=3"]).training.epochs == 3


def test_preset_with_several_mistakes_names_all_of_them_and_what_may_have_been_meant(tmp_path: Path):
    preset = tmp_path / "mine.yaml"
    preset.write_text(
        "name: a\nsources: [{repo: r, pullz: 1}]\ntrainign: {rank: 8}\ntraining: {rnak: 1, epochs: 0}\n"
        "dataset: {filter: {max_file_token: 1}}\n"
    )
    with pytest.raises(InputError) as raised:
        load_preset(str(preset))
    assert str(raised.value).removeprefix(f"{preset}: ").split("; ") == [
        "sources.0.pullz: no such parameter, did you mean `pulls`?",
        "dataset.filter.max_file_token: no such parameter, did you mean `max_file_tokens`?",
        "training.epochs: Input should be greater than or equal to 1, not 0",
        "training.rnak: no such parameter, did you mean `rank`?",
        "trainign: no such parameter, did you mean `training`?",
    ]


def test_preset_with_a_section_twice_is_refused(tmp_path: Path):
    preset = tmp_path / "mine.yaml"
    preset.write_text("sources: [{repo: r}]\ntraining: {rank: 8, max_usd: 1}\ntraining: {epochs: 1}\n")
    with pytest.raises(InputError, match="`training` stands twice, in line 2 and 3; put them together"):
        load_preset(str(preset))
    preset.write_text("x: &x {rank: 8}\nsources: [{repo: r}]\ntraining: {<<: *x, epochs: 2}\n")
    with pytest.raises(InputError, match=r": x: no such parameter$"):
        load_preset(str(preset))


@pytest.mark.parametrize(
    ("repo", "name"),
    [
        ("encode/httpx", "httpx"),
        ("https://example.org/acme/post.git", "post"),
        ("git@example.org:acme/post office.git", "post-office"),
        ("../elsewhere/", "elsewhere"),
    ],
)
def test_project_is_named_after_the_repository(repo: str, name: str):
    assert project_of(repo) == name


def test_project_of_a_clone_is_named_after_its_origin(tmp_path: Path):
    git(tmp_path, "init", "--quiet", "checkout")
    assert project_of(str(tmp_path / "checkout")) == "checkout"
    git(tmp_path / "checkout", "remote", "add", "origin", "https://example.org/acme/post.git")
    assert project_of(str(tmp_path / "checkout")) == "post"
    preset = tmp_path / "mine.yaml"
    preset.write_text(f"sources: [{{repo: {tmp_path / 'checkout'}}}]\n")
    assert load_preset(str(preset)).name == "post"
