import pytest

from tasks.text.paths import PathKind, generated_kind, kind_of_path, matches


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("yarn.lock", "lock-file"),
        ("cdk/package-lock.json", "lock-file"),
        ("npm-shrinkwrap.json", "lock-file"),
        ("a/__snapshots__/x.test.ts.snap", "test-snapshot"),
        ("public/app.min.js", "minified"),
        (".yarn/releases/yarn-4.0.0.cjs", "vendored"),
        ("a/b_pb2.py", "generated"),
        (".pnp.cjs", "vendored"),
        ("static/jquery-3.7.1.js", "vendored"),
        ("ios/App.xcodeproj/project.pbxproj", "generated"),
        ("tests/fixtures/orders.json", None),
        ("LICENSE", None),
        ("client/utilities/lock.ts", None),
        ("package.json", None),
    ],
)
def test_path_gives_its_kind_away(path: str, kind: str | None) -> None:
    assert generated_kind(path) == kind


def test_data_is_told_from_what_people_write_and_by_what() -> None:
    assert kind_of_path("tests/fixtures/orders.json") == PathKind("data", "fixture")
    assert kind_of_path("client/icons/arrow.svg") == PathKind("data", "vector image")
    assert kind_of_path("client/app.ts") is None


@pytest.mark.parametrize(
    ("path", "is_licence"),
    [
        ("LICENSE", True),
        ("packages/a/LICENCE.md", True),
        ("LICENSE-MIT", True),
        ("COPYING.txt", True),
        ("LICENSES/Apache-2.0.txt", True),
        ("third_party_notices.md", True),
        ("src/licence.py", False),
        ("docs/licensing.md", False),
        ("src/notices.ts", False),
        ("app/licenses/check.go", False),
    ],
)
def test_licences_are_told_from_code_about_them(path: str, is_licence: bool) -> None:
    found = kind_of_path(path)
    assert (found is not None and found.kind == "licence") is is_licence


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.ts", "a/b.ts", True),
        ("src/*.ts", "src/a.ts", True),
        ("src/*.ts", "src/x/a.ts", False),
        ("src/**", "src/x/a.ts", True),
        ("**/test/**", "test/a.ts", True),
        ("**/test/**", "a/test/b/c.ts", True),
        ("a?c.ts", "abc.ts", True),
        ("[id].tsx", "pages/[id].tsx", True),
        ("*.ts", "a.tsx", False),
        ("docs/", "docs/a/b.md", True),
        ("/a.ts", "b/a.ts", False),
    ],
)
def test_pattern_matches_as_documented(pattern: str, path: str, expected: bool) -> None:
    assert matches(path, (pattern,)) is expected
