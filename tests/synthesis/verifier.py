"""Checks template dialogues against the raw text by other means than made them: regular expressions over question and
answer, plain searches in files. No syntax tree, no code of the room.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from tasks.base.records import Dialogue, Document

Texts = Mapping[str, Document]
"""Documents by id."""


def wrong(dialogue: Dialogue, documents: Texts) -> str:
    """Why an answer is not right by the documents' raw text; empty if it is."""
    question, answer = dialogue.messages[0].content, dialogue.messages[-1].content
    source = documents[dialogue.provenance.document_id]
    first, last = dialogue.provenance.span
    lines = source.text.split("\n")
    if not 1 <= first <= last <= len(lines):
        return f"lines {first} to {last} of {len(lines)}"
    shown = "\n".join(lines[first - 1 : last])
    if dialogue.method == "open_book":
        if shown.strip() not in question:
            return "its passage is not in the prompt"
        question, answer = question.rsplit("\n\n", 1)[-1], answer.rsplit("\n\n(From `", 1)[0]
        if source.path.lower().endswith((".md", ".markdown")):
            return _page(answer, source, shown)
    if dialogue.method == "near_miss":
        return _refusal(question, answer, documents, source)
    if dialogue.method == "file_question":
        return _file(answer, shown)
    if dialogue.method in ("page_qa", "page_instruction"):
        return _page(answer, source, shown)
    if source.kind == "pull":
        return _pull(answer, source)
    if found := re.search(r"pull request #(\d+)", question):
        return _through_pull(found[1], answer, source, shown, documents)
    if source.path.endswith("package.json"):
        return _package(question, answer, source)
    return _code(question, answer, source, shown) or _elsewhere(question, answer, source, documents)


def _package(question: str, answer: str, source: Document) -> str:
    groups = {name: group for name, group in json.loads(source.text).items() if isinstance(group, dict)}
    asked, said = re.findall(r"`([^`]+)`", question), re.findall(r"`([^`]+)`", answer)
    pairs = [(name, value) for group in groups.values() for name, value in group.items()]
    if not any((name in asked and value in said) or (value in asked and name in said) for name, value in pairs):
        return "is not in package.json"
    named = re.search(r"\(under `(\w+)`\)", answer)
    return "" if named is None or any(name in groups[named[1]] for name in asked) else "is in another group"


def _elsewhere(question: str, answer: str, source: Document, documents: Texts) -> str:
    """For a question that asks for the file of a name and gives no path: that no other file defines the name."""
    asked = re.findall(r"`([\w$]+)`", question)
    if "/" in re.sub(r"`[^`]*`", "", question) or f"`{source.path}`" not in answer or source.path in question:
        return ""
    if any("/" in name or "." in name for name in re.findall(r"`([^`]+)`", question)):
        return ""
    names = [name for name in asked if name != source.repo.rsplit("/", 1)[-1]]
    word = "|".join(map(re.escape, names))
    defined = re.compile(
        r"^(?:export )?(?:default )?(?:abstract )?(?:async )?"
        rf"(?:def|class|function|interface|type|enum|const) (?:{word})\b",
        re.MULTILINE,
    )
    others = [other.path for other in documents.values() if other.kind == "file" and defined.search(other.text)]
    return "" if not names or others in ([], [source.path]) else f"also defined in {others}"


def _refusal(question: str, answer: str, documents: Texts, source: Document) -> str:
    if not re.search(r"don't know|no `|can't|know of no|know nothing|says nothing|is not among", answer):
        return "does not refuse"
    if source.kind == "pull":
        return _untouched(question, answer, documents, source)
    fake = re.search(r"`(\w+)`|“([^”]+)”", question)
    names = [name for name in re.findall(r"`(\w+)`", question) if f"`{name}`" in answer]
    for name in names:
        if name != source.repo.rsplit("/", 1)[-1] and re.search(rf"\b{re.escape(name)}\b", source.text):
            return f"{name} is in the text"
    return "" if fake else "names nothing"


def _untouched(question: str, answer: str, documents: Texts, source: Document) -> str:
    """For a question about a pull request that is not there, or about a file that one does not touch."""
    number = re.findall(r"#(\d+)", question)
    repo = source.repo.rsplit("/", 1)[-1]
    if number != [source.path]:
        known = {other.path for other in documents.values() if other.kind == "pull"}
        return "the pull request is there" if len(number) != 1 or number[0] in known else ""
    touched = {entry[name] for entry in source.meta["files"] for name in ("path", "previous_path") if entry.get(name)}
    asked = [name for name in re.findall(r"`([^`]+)`", question) if name != repo]
    said = [name for name in re.findall(r"`([^`]+)`", answer) if name not in (repo, *asked)]
    if len(asked) != 1 or asked[0] in touched:
        return f"{asked} is touched"
    return "" if said and set(said) <= touched else f"{said} is not touched"


def _through_pull(number: str, answer: str, source: Document, shown: str, documents: Texts) -> str:
    """For what stands in a file that a pull request touches: that it touches it, and that the file has it."""
    (pull,) = [
        one for one in documents.values() if one.kind == "pull" and (one.repo, one.path) == (source.repo, number)
    ]
    entries = pull.meta["files"]
    patches = [entry.get("patch") or "" for entry in entries if entry["path"] == source.path]
    if not patches:
        return f"pull request #{number} does not touch {source.path}"
    if not answer.endswith(f"(in `{source.path}`)"):
        missing = [name for name in re.findall(r"`([^`]+)`", answer) if not re.search(rf"\b{re.escape(name)}\b", shown)]
        return (
            f"{missing} is not defined there" if missing else "" if len(entries) == 1 else "touches more than one file"
        )
    signature = answer.split("`\n\n(in `")[0].removeprefix("`")
    added = " ".join(line[1:] for line in patches[0].split("\n") if line.startswith("+"))
    if " ".join(signature.split()) not in " ".join(shown.split()):
        return f"{signature} is not in lines of {source.path}"
    return (
        "" if set(re.findall(r"[\w$]{4,}", signature)) & set(re.findall(r"[\w$]{4,}", added)) else "adds no such name"
    )


def _file(answer: str, shown: str) -> str:
    body = re.search(r"(`{3,})\n(.*)\n\1$", answer, re.DOTALL)
    if body is None or body[2].rstrip("\n") != shown.rstrip("\n"):
        return "is not the file"
    return "" if re.match(r"As of [A-Z][a-z]+ \d{4}, ", answer) else "has no date"


def _page(answer: str, source: Document, shown: str) -> str:
    squeezed, page = " ".join(answer.split()), " ".join(shown.split())
    if squeezed in page or page in squeezed:
        return ""
    if fenced := re.fullmatch(r"(`{3,})[\w+-]*\n(.*)\n\1", answer, re.DOTALL):
        return "" if fenced[2] in shown else "is not the code"
    bare = [re.sub(r"^\s*- ", "", line).strip() for line in answer.split("\n")]
    plain = _plain(shown)
    if all(line in shown or line in plain for line in bare):
        return ""
    named = re.findall(r"`([^`]+)`|(https?://\S+?)(?=[.:]?(?:\s|$))|“([^”]+)”", answer)
    words = [word for match in named for word in match if word]
    wrong_words = [
        word for word in words if word not in shown and word not in plain and word not in (source.path, source.title)
    ]
    return f"{wrong_words[0]} is not there" if wrong_words or not words else ""


def _plain(text: str) -> str:
    text = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", text)
    return re.sub(r"(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)", "", text)


def _pull(answer: str, source: Document) -> str:
    everything = " ".join(f"{source.title} {source.path} {source.text} {source.meta}".split())
    for line in answer.split("\n"):
        bare = " ".join(line.strip("- `“”.").split())
        core = re.sub(r"^(Its title is|Pull request|It is|On) |\(pull request #\d+\)$|^#|(?<=\d) is “.*$", "", bare)
        if core.strip("#“”. ") not in everything and bare not in everything and repr(bare)[1:-1] not in everything:
            return f"{bare!r} is not in the pull request"
    return ""


def _code(question: str, answer: str, source: Document, shown: str) -> str:
    if fenced := re.fullmatch(r"(`{3,})\n(.*)\n\1", answer, re.DOTALL):
        return "" if fenced[2] in shown else "is not the code"
    squeezed = " ".join(shown.split())
    if source.path.endswith(".toml"):  # the group is its table's name
        answer = re.sub(r" \(under `[\w.-]+`\)", "", answer)
    if " ".join(answer.split()) in " ".join(
        re.sub(r"^\s*(/\*\*?|\*/?|//+|#)\s?", "", shown, flags=re.MULTILINE).split()
    ):
        return ""
    names = re.findall(r"`([^`]+)`", answer) or [answer]
    for name in names:
        if " ".join(name.split()) not in squeezed and name not in (source.path, source.repo) and name not in question:
            return f"{name} is not in lines of {source.path}"
    if f"`{source.path}`" in answer and re.search(
        r"\b(defin\w*|declare\w*|which file|where|path)\b", question, re.IGNORECASE
    ):
        asked = [
            name for name in re.findall(r"`([\w.$-]+)`", question) if name in shown.split("\n")[0] or name in shown
        ]
        return "" if asked else "the file does not define what was asked for"
    return ""
