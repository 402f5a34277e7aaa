"""Threads by GraphQL: many to a query, and what did not fit on the first page many to a query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from tasks.harvest.github.client import Client, QueryTooLargeError
from tasks.harvest.github.topics import PAGE_INFO, Gathered, Topic
from tasks.harvest.params import PullReference

Item = dict[str, Any]

OVERFLOW_BATCH: Final = 50
"""Unfinished lists continued in one query."""

_SPREAD: Final = re.compile(r"\.\.\.(\w+)")


class Unfinished(NamedTuple):
    """A list of which GitHub gave only the first page."""

    kind: str
    """Key of `Topic.more`."""
    thread: str
    """Node id of the thread."""
    node: str
    """Node id of the thread, or of what is in it, that the list belongs to."""
    cursor: str
    lists: dict[str, list[Item]]
    """Where the rest goes."""


def graphql_threads(client: Client, topic: Topic, references: Sequence[PullReference]) -> Iterator[Item]:
    """The threads, those that fit on first pages first; a batch that GitHub cannot answer is halved.

    Raises:
        QueryTooLargeError: a single thread is too much; REST can read it.
        UnavailableError: there is no GraphQL here.
    """
    size = topic.batch
    numbers = [item.number for item in references]
    waiting: dict[str, Gathered] = {}
    unfinished: list[Unfinished] = []
    while numbers:
        try:
            batch = _batch(client, topic, numbers[:size], unfinished)
        except QueryTooLargeError:
            if size == 1:
                raise
            size = max(size // 2, 1)
            continue
        if len(batch) < len(numbers[:size]):  # partial data: what is missing is asked for again, less at a time
            size = max(size // 2, 1)
        numbers = [number for number in numbers if number not in batch]
        open_ones = {item.thread for item in unfinished}
        for gathered in batch.values():
            if gathered.node["id"] in open_ones:
                waiting[gathered.node["id"]] = gathered
            else:
                yield topic.shape(gathered)
    while unfinished:  # of all batches together, so that a long thread costs no request of its own
        unfinished = _continue(client, topic, unfinished[:OVERFLOW_BATCH]) + unfinished[OVERFLOW_BATCH:]
    for gathered in waiting.values():
        yield topic.shape(gathered)


def thread_query(topic: Topic, numbers: Sequence[int]) -> str:
    """The query for some threads."""
    parts = " ".join(f"p{number}: {topic.one}(number: {number}) {{ ...thread }}" for number in numbers)
    head = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) "
    return _with_fragments(f"{head}{{ {parts} }} }}", topic)


def overflow_query(topic: Topic, unfinished: Sequence[Unfinished]) -> tuple[str, dict[str, str]]:
    """The query that continues unfinished lists, and its variables."""
    variables: dict[str, str] = {}
    parts, declared = [], []
    for number, item in enumerate(unfinished):
        more = topic.more[item.kind].text % (f"$c{number}", PAGE_INFO)
        parts.append(f"n{number}: node(id: $i{number}) {{ {more} }}")
        declared.append(f"$i{number}: ID!, $c{number}: String!")
        variables |= {f"i{number}": item.node, f"c{number}": item.cursor}
    return _with_fragments(f"query({', '.join(declared)}) {{ {' '.join(parts)} }}", topic), variables


def _with_fragments(query: str, topic: Topic) -> str:
    """A query with the fragments that it needs, no others: GitHub refuses what is not used."""
    fragments = {part.split(" ", 1)[0]: f"fragment {part}" for part in topic.fragments.split("fragment ")[1:]}
    used: list[str] = []
    text = query
    while missing := [name for name in fragments if name not in used and name in _SPREAD.findall(text)]:
        used += missing
        text += "\n" + "".join(fragments[name] for name in missing)
    return text


def _batch(client: Client, topic: Topic, numbers: Sequence[int], unfinished: list[Unfinished]) -> dict[int, Gathered]:
    """What GitHub gives of some threads by number; a part that came with an error is left out."""
    owner, name = client.repo.split("/")
    data, errors = client.query(thread_query(topic, numbers), {"owner": owner, "name": name})
    nodes = [node for node in (data.get("repository") or {}).values() if node]
    if errors or len(nodes) < len(numbers):
        client.judge(errors)
        broken = {str(error["path"][1]) for error in errors if len(error.get("path") or []) > 1}
        nodes = [node for node in nodes if broken and f"p{node['number']}" not in broken]
    batch = {}
    for node in nodes:
        gathered = batch[node["number"]] = Gathered(node, {kind: [] for kind in topic.more})
        for field, kind in topic.lists.items():
            _take(topic, Unfinished(kind, node["id"], node["id"], "", gathered.lists), node[field], unfinished)
    return batch


def _continue(client: Client, topic: Topic, unfinished: list[Unfinished]) -> list[Unfinished]:
    text, variables = overflow_query(topic, unfinished)
    data, errors = client.query(text, variables)
    if errors or any(data.get(f"n{number}") is None for number in range(len(unfinished))):
        client.judge(errors)
        return unfinished
    left: list[Unfinished] = []
    for number, item in enumerate(unfinished):
        _take(topic, item, data[f"n{number}"][topic.more[item.kind].field], left)
    return left


def _take(topic: Topic, target: Unfinished, page: Item, unfinished: list[Unfinished]) -> None:
    """Takes a page into the list that it belongs to; notes what is still missing."""
    more = topic.more[target.kind]
    for node in page["nodes"]:
        if node is None:
            continue
        target.lists[target.kind].append(node)
        if more.nested:
            _take(
                topic,
                Unfinished(more.nested, target.thread, node["id"], "", target.lists),
                node[more.inner],
                unfinished,
            )
    if page["pageInfo"]["hasNextPage"]:
        unfinished.append(target._replace(cursor=page["pageInfo"]["endCursor"]))
