from collections.abc import Callable, Iterable

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import REMOVED, Document, RemovedPath, Weight
from tasks.base.runs import StepRun, read_records, read_verdicts
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.corpus.params import StaleParams
from tasks.corpus.references import find_references
from tasks.corpus.stale_pages import PAGES, WEIGHTS, PageReport, stale_pages
from tests.corpus.documents import file, page, pull

Stored = Callable[[Iterable[Document]], Artifact]


@step("tests/snapshot", "1")
def _snapshot(run: StepRun) -> None:
    run.verdict("octocat/cart/file/yarn.lock", "lfs-pointer")
    run.write([])
    removed = ["build.sbt", "conf/routes.conf", "app/OldRouter.scala", "gone.sh"]
    run.path(REMOVED).write_text("".join(f"{RemovedPath(id=path).line()}\n" for path in sorted(removed)))


@pytest.fixture
def snapshot(store: Store) -> Artifact:
    return _snapshot.direct(store)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see `client/cart.ts` and `cart.ts`", ["path cart.ts", "path client/cart.ts"]),
        ("see `pages/[id].tsx` and `[src/a.ts]`", ["path pages/[id].tsx", "path src/a.ts"]),
        ("call `getTotal()` or `<CartView/>` or `total`", ["symbol CartView", "symbol getTotal"]),
        (
            "[a](../src/b.scala) [c](Other-Page) [[Deploying|deploy to PROD]] [d](#here)",
            ["page deploy-to-prod", "page other-page", "path src/b.scala"],
        ),
        ("https://github.com/Octocat/cart/blob/main/src/a.ts#L3", ["path src/a.ts"]),
        ("https://github.com/octocat/cart/wiki/Set-up", ["page set-up"]),
        ("go to https://cart.example.org/help-centre.", []),
        ("[a](.github/workflows/ci.yml) [b](./.eslintrc.js)", ["path .eslintrc.js", "path .github/workflows/ci.yml"]),
        ("[a](../blob/main/src/a.ts) [b](../../wiki-page)", ["page wiki-page", "path src/a.ts"]),
        ("[a](../../actions/workflows/ci.yml) [b](../issues) [c](../../releases#v2) [d](../../issues/new?t=b.yml)", []),
        (
            "[a](../issues.md) [b](actions/run.ts) [c](../src/actions/go.ts)",
            ["page issues", "path actions/run.ts", "path src/actions/go.ts"],
        ),
        ("`getCart()` is\n```ts\nfunction getCart() {}\n```\na `.yaml` file, `.env`, `r.json()`, [x](api.html)", []),
        (
            "https://github.com/octocat/cart/wiki/_pages [a](_history) [b](../wiki/Set-up/_edit) [c](_Sidebar)",
            ["page -sidebar"],
        ),
        ("`src/new.ts` (formerly `src/old.ts`), renamed from file `c.ts`", ["path src/new.ts"]),
        ("~~in\n`src/a.ts`~~ https://github.com/octocat/cart/blob/feature/X-1/docs/a.xml", []),
        ("[a](LICENSE) [b](Makefile) ![c](logo.png) [d](report.pdf)", ["page license", "page makefile"]),
        (
            "run `./scripts/run.sh`, then `cat /etc/nginx/cart.conf`\n```sh\nvim config/own.yml\n```",
            ["path scripts/run.sh"],
        ),
        ("getTotal in prose, node_modules/`x`, 1.2.3, `v1.2`, `npm install`, `https://a.org`", []),
    ],
)
def test_references_are_what_can_be_looked_up(text: str, expected: list[str]) -> None:
    assert [f"{reference.kind} {reference.name}" for reference in find_references(text, "octocat/cart")] == expected


FRESH = page(
    "Fresh.md",
    "Use `cart.ts` with `getTotal`, keep `yarn.lock`; see [[Old]] and https://cart.example.org/help",
    updated_at="2023-01-01T00:00:00Z",
)
OLD = page(
    "Old.md",
    "Build with `build.sbt` and `OldRouter` in `conf/routes.conf`, see [[Gone page]], `cart.ts`.",
    updated_at="2019-03-04T00:00:00Z",
)
CART = file("src/cart.ts", "export const getTotal = () => fetch('https://cart.example.org/help');\n")
CHANGE = pull(1, patches=[("src/cart.ts", "@@ -1 +1 @@\n+a")])


def test_page_whose_names_are_gone_is_stale_and_counts_what_changed_since(
    store: Store, stored: Stored, snapshot: Artifact
) -> None:
    documents = stored([FRESH, OLD, CART, CHANGE])
    made = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams())
    fresh, old = read_records(store, made, PageReport, PAGES)
    assert (fresh.references, fresh.gone, fresh.changed_since, fresh.stale) == (4, (), 1, False)
    assert old.gone == ("page gone-page", "path build.sbt", "path conf/routes.conf", "symbol OldRouter")
    assert (old.references, old.changed_since, old.stale) == (5, 1, True)
    assert made.counts == {"pages": 2, "records": 4, "verdict:stale-page-report": 1}
    assert list(read_records(store, made, Document)) == list(read_records(store, documents, Document))


def test_stale_page_is_dated_or_dropped_if_asked(store: Store, stored: Stored, snapshot: Artifact) -> None:
    documents = stored([FRESH, OLD, CART])
    dated = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams(pages="date"))
    texts = {document.path: document.text for document in read_records(store, dated, Document)}
    assert texts["Old.md"] == f"As of March 2019, since when parts of it have become outdated:\n\n{OLD.text}"
    assert texts["Fresh.md"] == FRESH.text
    dropped = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams(pages="drop"))
    assert [document.path for document in read_records(store, dropped, Document)] == ["src/cart.ts", "Fresh.md"]
    assert [(verdict.id, verdict.reason, verdict.detail) for verdict in read_verdicts(store, dropped)] == [
        ("octocat/cart/wiki/Old.md", "stale-page-drop", "4 of 5 are gone")
    ]


def test_stale_page_is_down_weighted_if_asked(store: Store, stored: Stored, snapshot: Artifact) -> None:
    documents = stored([FRESH, OLD, CART])
    params = StaleParams(pages="weight", weight=0.5)
    made = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=params)
    assert list(read_records(store, made, Weight, WEIGHTS)) == [Weight(id=OLD.id, weight=0.5)]
    assert list(read_records(store, made, Document)) == list(read_records(store, documents, Document))
    assert made.counts["verdict:stale-page-weight"] == made.counts["weights"] == 1


def test_one_wrong_name_makes_no_stale_page(store: Store, stored: Stored, snapshot: Artifact) -> None:
    documents = stored([page("A.md", "Run `gone.sh`."), CART])
    made = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams())
    assert [(report.gone, report.stale) for report in read_records(store, made, PageReport, PAGES)] == [
        (("path gone.sh",), False)
    ]


def test_link_to_a_wiki_that_was_not_harvested_says_nothing(store: Store, stored: Stored, snapshot: Artifact) -> None:
    documents = stored([file("README.md", "see https://github.com/octocat/cart/wiki/Setup and [x](Deploy.md)")])
    made = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams())
    assert [report.gone for report in read_records(store, made, PageReport, PAGES)] == [()]


def test_files_are_not_read_as_a_wiki(store: Store, stored: Stored, snapshot: Artifact) -> None:
    """`[[X]]` in a file is an example's, a bare name and `setup.sh/` are a site's addresses."""
    readme = file("docs/index.md", "[[Old]] [a](Deploying) [b](./setup.sh/) https://github.com/octocat/cart/wiki/Gone")
    documents = stored([readme, file("docs/setup.sh.md", "so\n"), page("Home.md", "so\n")])
    made = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams())
    reports = {report.id: report for report in read_records(store, made, PageReport, PAGES)}
    assert reports[readme.id].gone == ("page gone",)


def test_files_without_an_ending_vouch_for_links_to_them(store: Store, stored: Stored, snapshot: Artifact) -> None:
    home = page("Home.md", "See [the licence](LICENSE), [how](../blob/main/CONTRIBUTING) and [gone](NOTICE).")
    documents = stored([home, file("LICENSE", "free\n"), file("docs/CONTRIBUTING", "so\n")])
    made = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams())
    (report,) = read_records(store, made, PageReport, PAGES)
    assert report.gone == ("page notice",)


def test_only_what_there_was_is_gone(store: Store, stored: Stored, snapshot: Artifact) -> None:
    """What readers shall write and what others have is not counted, and a changelog is not judged."""
    text = """Write `config/own.yml` and `docker-compose.yml` for `WordPress`; `conf/routes.conf` is read by `oldTotal`.
Set `own_key` in a `ConfigMap`, then call `addTodo`."""
    talk = pull(
        2,
        patches=[
            (
                "src/cart.ts",
                "@@ -1,4 +1 @@\n-export const oldTotal = 1;\n-const addTodo = 1;\n-use(ConfigMap, own_key);\n a",
            ),
            ("docs/Guide.md", "@@ -1,2 +1 @@\n-Others have class WordPress.\n-class ConfigMap\n a"),
            ("deploy.yml", "@@ -1,2 +1 @@\n-  own_key: 1\n a"),
            ("tests/cart.test.ts", "@@ -1,2 +1 @@\n-export const addTodo = 1;\n a"),
        ],
    )
    documents = stored([page("Guide.md", text), file("CHANGELOG.md", OLD.text), CART, talk])
    made = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams())
    changelog, guide = read_records(store, made, PageReport, PAGES)
    assert (changelog.references, changelog.gone) == (0, ())
    assert (guide.references, guide.gone) == (2, ("path conf/routes.conf", "symbol oldTotal"))


def test_end_of_a_removed_path_is_a_file_of_the_readers(store: Store, stored: Stored, snapshot: Artifact) -> None:
    """`routes.conf` below another folder than the page's is not what was removed; beside or above the page it is."""
    texts = {
        "docs/guide.md": "`play/conf/routes.conf` and `OldRouter.scala`",
        "conf/notes/README.md": "`conf/routes.conf`",
    }
    documents = stored([*(file(path, text) for path, text in texts.items()), CART])
    made = stale_pages.direct(store, documents=documents, snapshots=[snapshot], params=StaleParams())
    found = {report.id.partition("/file/")[2]: report.gone for report in read_records(store, made, PageReport, PAGES)}
    assert found == {"docs/guide.md": (), "conf/notes/README.md": ("path conf/routes.conf",)}


def test_reader_of_a_guide_has_files_of_the_same_ending(store: Store, stored: Stored) -> None:
    @step("tests/guides", "1")
    def guides(run: StepRun) -> None:
        run.verdict("octocat/cart/file/yarn.lock", "lfs-pointer")
        run.write([])
        run.path(REMOVED).write_text(f"{RemovedPath(id='guides/code/shop/app/models/article.rb').line()}\n")

    text = "Write `app/models/article.rb` and `shop/app/models/article.rb`. Look at `code/shop/app/models/article.rb`."
    documents = stored([file("guides/start.md", text), CART])
    made = stale_pages.direct(store, documents=documents, snapshots=[guides.direct(store)], params=StaleParams())
    (guide,) = read_records(store, made, PageReport, PAGES)
    assert guide.gone == ("path code/shop/app/models/article.rb",)
