import pytest

from tasks.text.paths import generated_kind, matches


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
        ("client/utilities/lock.ts", None),
        ("package.json", None),
    ],
)
def test_path_gives_its_kind_away(path: str, kind: str | None) -> None:
    assert generated_kind(path) == kind


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
    ],
)
def test_pattern_matches_as_documented(pattern: str, path: str, expected: bool) -> None:
    assert matches(path, (pattern,)) is expected
