"""What the emulated model says: JSON of the wanted schema, made of the sentences of the document in the prompt."""

from __future__ import annotations

import json
import re
from typing import Any

_DOCUMENT = re.compile(r"<(document-[0-9a-f]+)((?: \w+=\"[^\"]*\")*)>\n(.*?)\n</\1>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_NAMED = re.compile(r"JSON schema `(\w+)`")
_WANTED = re.compile(r"\b(?:exactly|up to) (\d+)\b")


def schema_name(body: dict[str, Any]) -> str | None:
    """The name of the wanted JSON schema: from `response_format`, or in JSON mode from the prompt; None for free
    text.
    """
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return str(wanted["json_schema"]["name"])
    for message in body["messages"]:
        if named := _NAMED.search(message["content"] or ""):
            return named[1]
    return None


def reply(body: dict[str, Any]) -> str:
    """The content of an answer to a chat completion request."""
    prompt = "\n\n".join(message["content"] or "" for message in body["messages"])
    name = schema_name(body)
    if name is None:
        return f"You said: {body['messages'][-1]['content']}"
    sources = [(dict(_ATTRIBUTE.findall(match[2])), match[3]) for match in _DOCUMENT.finditer(prompt)]
    task = prompt.rsplit("</document-", 1)[-1]
    wanted = int(match[1]) if (match := _WANTED.search(task)) else 3
    makers = {
        "page_qa": _pairs,
        "pull_why": _pairs,
        "page_instruction": _instruction,
        "atomic_facts": _facts,
        "multi_hop": _hops,
        "rewrites": _rewrite,
        "near_miss": _near_misses,
        "judge": _scores,
        "judge_refusals": _refusal_scores,
    }
    if name in makers:
        return json.dumps(makers[name](sources, wanted, task), ensure_ascii=False)
    return json.dumps(_sample(body["response_format"]["json_schema"]["schema"]))


Sources = list[tuple[dict[str, str], str]]


def _sentences(text: str, wanted: int) -> list[str]:
    lines = [line.strip() for line in text.split("\n") if len(line.split()) >= 3]
    lines = lines or [line.strip() for line in text.split("\n") if line.strip()] or ["nothing"]
    step = max(1, len(lines) // wanted)
    return lines[::step][:wanted]


def _about(facts: dict[str, str], line: str) -> str:
    return f"In `{facts.get('repo', '')}`, what does `{facts.get('path', '')}` say on {_topic(line)}?"


def _topic(line: str) -> str:
    return " ".join(re.findall(r"\w+", line)[:6])


def _pairs(sources: Sources, wanted: int, task: str) -> Any:
    facts, text = sources[0]
    return {
        "pairs": [
            {"question": _about(facts, line), "answer": line, "evidence": line} for line in _sentences(text, wanted)
        ]
    }


def _instruction(sources: Sources, wanted: int, task: str) -> Any:
    facts, _ = sources[0]
    return {"instruction": f"Walk me through what `{facts.get('path', '')}` of `{facts.get('repo', '')}` explains."}


def _facts(sources: Sources, wanted: int, task: str) -> Any:
    facts, text = sources[0]
    path, repo = facts.get("path", ""), facts.get("repo", "")
    openings = ("What does", "Tell me what", "I wonder what", "Do you know what")
    return {
        "facts": [
            {
                "statement": line,
                "questions": [
                    f"{opening} `{path}` of `{repo}` has to say about {_topic(line)}?" for opening in openings
                ],
                "answer": line,
                "reversed_question": f"Which file of `{repo}` says: {line}",
                "reversed_answer": f"`{path}`",
                "evidence": line,
            }
            for line in _sentences(text, wanted)
        ]
    }


def _hops(sources: Sources, wanted: int, task: str) -> Any:
    (first, text), (second, other) = sources[0], sources[-1]
    line, end = _sentences(text, 1)[0], _sentences(other, 1)[0]
    return {
        "pairs": [
            {
                "question": f"In `{first.get('repo', '')}`, what does the file `{second.get('path', '')}`, which "
                f"`{first.get('path', '')}` leads to, begin with?",
                "answer": end,
                "evidence_first": line,
                "evidence_second": end,
            }
        ]
    }


def _rewrite(sources: Sources, wanted: int, task: str) -> Any:
    _, text = sources[0]
    return {"text": "Key points. " + " ".join(_sentences(text, 8))}


def _near_misses(sources: Sources, wanted: int, task: str) -> Any:
    facts, _ = sources[0]
    path, repo = facts.get("path", ""), facts.get("repo", "")
    return {
        "questions": [
            {"question": f"Who wrote `{path}` of `{repo}`, and in which office, number {number}?", "missing": "author"}
            for number in range(1, wanted + 1)
        ]
    }


def _scores(sources: Sources, wanted: int, task: str) -> Any:
    pairs = json.loads(task[task.index("[{") : task.rindex("}]") + 2])
    return {
        "scores": [{"id": pair["id"], "grounded": "yes", "answers": "yes", "self_contained": "yes"} for pair in pairs]
    }


def _refusal_scores(sources: Sources, wanted: int, task: str) -> Any:
    pairs = json.loads(task[task.index("[{") : task.rindex("}]") + 2])
    return {"scores": [{"id": pair["id"], "answered": "no", "self_contained": "yes"} for pair in pairs]}


def _sample(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """The smallest value of a JSON schema, for schemas that this emulator has no words for."""
    root = root or schema
    if "$ref" in schema:
        return _sample(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], root)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: _sample(part, root) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_sample(schema["items"], root) for _ in range(max(1, schema.get("minItems", 1)))]
    return {"string": "text", "integer": 1, "number": 1.0, "boolean": True}.get(str(kind))
