from collections.abc import Iterable
from typing import Any

from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step

REVISION = "1272c7d0" * 5


def file(path: str, text: str, repo: str = "octocat/cart", **meta: Any) -> Document:
    return Document(
        id=f"{repo}/file/{path}",
        kind=Kind.FILE,
        repo=repo,
        revision=REVISION,
        path=path,
        title=path.rsplit("/", 1)[-1],
        url=f"https://github.com/{repo}/blob/{REVISION}/{path}",
        text=text,
        created_at=None,
        updated_at=None,
        meta={"committed_at": "2023-12-29T10:00:00Z", "blob": "b", "bytes": len(text.encode())} | meta,
    )


def page(path: str, text: str, repo: str = "octocat/cart", updated_at: str | None = "2023-06-01T00:00:00Z") -> Document:
    return Document(
        id=f"{repo}/wiki/{path}",
        kind=Kind.WIKI,
        repo=repo,
        revision=REVISION,
        path=path,
        title=path.removesuffix(".md"),
        url=None,
        text=text,
        created_at=None,
        updated_at=updated_at,
    )


def pull(
    number: int,
    title: str = "Change",
    text: str = "",
    repo: str = "octocat/cart",
    patches: Iterable[tuple[str, str | None]] = (),
    **meta: Any,
) -> Document:
    files = [{"path": path, "status": "modified", "previous_path": None, "patch": patch} for path, patch in patches]
    return Document(
        id=f"{repo}/pull/{number:07d}",
        kind=Kind.PULL,
        repo=repo,
        revision=REVISION,
        path=str(number),
        title=title,
        url=f"https://github.com/{repo}/pull/{number}",
        text=text,
        created_at="2023-12-01T09:00:00Z",
        updated_at="2023-12-02T09:00:00Z",
        meta={
            "number": number,
            "state": "closed",
            "merged_at": "2023-12-02T09:00:00Z",
            "author": "octocat",
            "labels": [],
            "comments": [],
            "reviews": [],
            "review_comments": [],
            "files": files,
        }
        | meta,
    )


def issue(number: int, title: str = "Broken", text: str = "", repo: str = "octocat/cart", **meta: Any) -> Document:
    return Document(
        id=f"{repo}/issue/{number:07d}",
        kind=Kind.ISSUE,
        repo=repo,
        revision="",
        path=str(number),
        title=title,
        url=f"https://github.com/{repo}/issues/{number}",
        text=text,
        created_at="2023-11-01T09:00:00Z",
        updated_at="2023-11-02T09:00:00Z",
        meta={"number": number, "state": "open", "closed_at": None, "author": "Person 1", "labels": [], "comments": []}
        | meta,
    )


@step("tests/documents", "1")
def stored_documents(run: StepRun, records: list[dict[str, Any]]) -> None:
    made = [Document(**record) for record in records]
    run.write(sorted(made, key=lambda document: document.id))
