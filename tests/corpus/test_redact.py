from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.artifacts import Artifact
from tasks.base.errors import RecordError
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.corpus.params import RedactParams
from tasks.corpus.redact import redact, redact_diff, redact_document, redact_text
from tests.corpus.documents import file, page, pull

Stored = Callable[[Iterable[Document]], Artifact]

# Put together here so that no scanner takes this file for a leak.
TOKEN = "ghp_" + "R7vX2mQ9sK4tY8wZ1aB3cD5eF6gH0iJkLmNo"
KEY_LINES = [
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "MIIEowIBAAKCAQEAx0pZ7kq3v8Wm1sT5yB9nR2cD4fG6hJ8kL0mN3pQ5rS7tU9vW",
    "y1zA3bC5dE7fG9hI1jK3lM5nO7pQ9rS1tU3vW5xY7zA9bC1dE3fG5hI7jK9lM1nO",
    "3pQ5rS7tU9vW1xY3zA5bC7dE9fG1hI3jK5lM7nO9pQ1rS3tU5vW7xY9zA1bC3dE5",
    "-----END RSA " + "PRIVATE KEY-----",
]


def test_secrets_are_replaced_everywhere_and_named_only_by_rule_and_place(store: Store, stored: Stored) -> None:
    said = {"author": "mona", "created_at": "2023-12-01T10:00:00Z"}
    documents = stored(
        [
            file("src/a.ts", f"const a = 1;\nconst token = '{TOKEN}';\n"),
            file("src/b.ts", "const b = 2;\n"),
            page("Deploy.md", f"Use `{TOKEN}`.\n"),
            pull(
                1,
                title=f"Rotate {TOKEN}",
                text=f"Was {TOKEN}",
                patches=[("src/a.ts", f"@@ -1 +1,2 @@\n a\n+token = '{TOKEN}'"), ("b.png", None)],
                comments=[said | {"body": "fine"}, said | {"body": f"still {TOKEN}"}],
                reviews=[said | {"body": f"no {TOKEN}", "state": "COMMENTED"}],
                review_comments=[said | {"body": f"{TOKEN}?", "path": "src/a.ts", "line": 2, "in_reply_to": None}],
            ),
        ]
    )
    made = redact.direct(store, documents=documents, params=RedactParams())
    kept = {document.path: document for document in read_records(store, made, Document)}
    assert kept["src/a.ts"].text == "const a = 1;\nconst token = '[redacted:github-pat]';\n"
    assert kept["src/b.ts"].text == "const b = 2;\n"
    assert kept["1"].title == "Rotate [redacted:github-pat]"
    assert kept["1"].meta["files"][0]["patch"] == "@@ -1 +1,2 @@\n a\n+token = '[redacted:github-pat]'"
    assert [
        (verdict.id.split("/", 2)[2], verdict.reason, verdict.detail) for verdict in read_verdicts(store, made)
    ] == [
        ("file/src/a.ts", "redacted-github-pat", "text, line 2"),
        ("pull/0000001", "redacted-github-pat", "comment 2, line 1"),
        ("pull/0000001", "redacted-github-pat", "diff src/a.ts, line 3"),
        ("pull/0000001", "redacted-github-pat", "review 1, line 1"),
        ("pull/0000001", "redacted-github-pat", "review comment 1, line 1"),
        ("pull/0000001", "redacted-github-pat", "text, line 1"),
        ("pull/0000001", "redacted-github-pat", "title, line 1"),
        ("wiki/Deploy.md", "redacted-github-pat", "text, line 1"),
    ]
    assert (made.counts["records"], made.counts["documents_redacted"]) == (4, 3)
    assert not any(TOKEN.encode() in path.read_bytes() for path in store.checkout(made).rglob("*") if path.is_file())


def test_private_key_is_found_through_the_marks_of_a_diff() -> None:
    patch = "@@ -0,0 +1,7 @@\n+key = [\n" + "".join(f"+{line}\n" for line in KEY_LINES) + "+]\n\n+end"
    clean, places = redact_diff(patch, RedactParams())
    assert places == [("private-key", 3)]
    assert clean == "@@ -0,0 +1,7 @@\n+key = [\n+[redacted:private-key]\n+]\n\n+end"


def test_failing_run_names_rule_document_and_line_but_not_the_secret(store: Store, stored: Stored) -> None:
    documents = stored([file("src/a.ts", f"\ntoken = '{TOKEN}'\n")])
    with pytest.raises(RecordError, match=r"github-pat in octocat/cart/file/src/a\.ts, text, line 2") as caught:
        redact.direct(store, documents=documents, params=RedactParams(secrets="fail"))
    assert TOKEN not in str(caught.value)


def test_ignored_rule_and_switched_off_secrets_leave_the_text() -> None:
    text = f"token = '{TOKEN}'"
    assert redact_text(text, RedactParams(ignore_secrets=("github-pat",))) == (text, [])
    assert redact_text(text, RedactParams(secrets="keep")) == (text, [])


def test_personal_data_is_hidden_only_if_asked() -> None:
    text = (
        "mail jane.doe@guardian.co.uk or a@example.com "
        "from 8.8.8.8, 127.0.0.1, 10.0.0.1, 2001:4860:4860::8888, v1.2.3.4"
    )
    assert redact_text(text, RedactParams())[0] == text
    clean, places = redact_text(text, RedactParams(personal=("email", "ip")))
    assert (
        clean
        == "mail [redacted:email] or a@example.com from [redacted:ip], 127.0.0.1, 10.0.0.1, [redacted:ip], v1.2.3.4"
    )
    assert [rule for rule, _ in places] == ["email", "ip", "ip"]


@given(st.text(alphabet="ab \n+-@x.1"), st.text(alphabet="ab \n+-", max_size=20))
def test_text_around_a_secret_is_kept_byte_for_byte(before: str, after: str) -> None:
    clean, places = redact_text(f"{before}\ntoken = '{TOKEN}'\n{after}", RedactParams())
    assert clean == f"{before}\ntoken = '[redacted:github-pat]'\n{after}"
    assert places == [("github-pat", before.count("\n") + 2)]


@given(st.lists(st.sampled_from(["", " a", "+b", "-c", "\\ No newline at end of file", "@@ -1 +1 @@"])))
def test_diff_around_a_secret_is_kept_byte_for_byte(lines: list[str]) -> None:
    patch = "\n".join([*lines, f"+token = '{TOKEN}'", *lines])
    assert redact_diff(patch, RedactParams())[0] == "\n".join([*lines, "+token = '[redacted:github-pat]'", *lines])


def test_document_without_findings_is_the_same_object() -> None:
    document = pull(1, patches=[("a.ts", "@@ -1 +1 @@\n+a")])
    assert redact_document(document, RedactParams()) == (document, [])
