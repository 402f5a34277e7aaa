"""The HTTP routes that a repository serves, with their full addresses as far as the mounting of routers shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from tasks.synthesis.facts.declared_routes import Route, declared, joined, routers
from tasks.synthesis.facts.graph import Graph, Symbol
from tasks.synthesis.facts.syntax import CallSite, string_of
from tasks.text.references import written
from tasks.text.syntax_tree import text_of

_MAY_ROUTE: Final = re.compile(
    r"\b(Router|express|[Ff]astify|Koa|Hono|polka|FastAPI|Flask|Blueprint|urlpatterns|Starlette|http\.|Controller|Path)\b"
    r"|Mapping\b|Route\b|\.route\(|Map(Get|Post|Put|Patch|Delete)\b|\$(app|router|group)\b|\[(get|post|put|patch|delete)\("
    r"|HandleFunc|\.(GET|POST|Get|Post)\(|routes\.draw|[Ss]inatra"
)
"""What a file that declares or mounts a route has in its text; the others are not read for any."""


@dataclass(frozen=True)
class _Mount:
    path: str
    router: str
    prefix: str
    target: Symbol


class RouteTable:
    """Every route of the repository, by file and by address."""

    def __init__(self, graph: Graph, sources: Iterable[Any]) -> None:
        self._graph = graph
        raw: list[Route] = []
        mounts: list[_Mount] = []
        roots: set[tuple[str, str]] = set()
        for source in sources:
            if source.is_test or not _MAY_ROUTE.search(source.document.text) or source.root is None:
                continue
            raw += declared(source)
            mounts += self._mounts(source)
            roots |= {(source.path, name) for name, maker in routers(source.document.text) if maker in _APPS}
        found: list[Route] = []
        for route in raw:
            prefixes = self._prefixes(route.path, route.router, mounts, roots, 6)
            if not prefixes:
                found.append(replace(route, address=joined("", route.address), mounted=not route.router))
            for prefix in sorted(prefixes):
                found.append(replace(route, address=joined(prefix, route.address)))
        self.by_path: dict[str, list[Route]] = {}
        self.by_shape: dict[str, list[Route]] = {}
        for route in found:
            self.by_path.setdefault(route.path, []).append(route)
            if route.mounted:
                self.by_shape.setdefault(shape(route.address), []).append(route)

    def named(self, name: str) -> list[Route]:
        """Routes whose whole address is known, by what people call them: `GET /users`."""
        address = name.rpartition(" ")[2]
        return [route for route in self.by_shape.get(shape(address), []) if route.name == name]

    def _mounts(self, source: Any) -> Iterator[_Mount]:
        for site in source.calls:
            if not site.arguments:
                continue
            language = source.language
            prefix, target = "", site.arguments[-1]
            if language in ("typescript", "javascript") and site.name in ("use", "register", "route"):
                prefix = (string_of(site.arguments[0]) or "") if len(site.arguments) > 1 else ""
            elif language == "python" and site.name in ("include_router", "register_blueprint", "mount"):
                named = {"include_router": "prefix", "register_blueprint": "url_prefix"}.get(site.name, "")
                prefix = _keyword(site, named)
                target = site.arguments[0]
                if site.name == "mount":
                    prefix, target = string_of(site.arguments[0]) or "", site.arguments[-1]
            else:
                continue
            words = re.fullmatch(r"([A-Za-z_$][\w$]*)((?:\.[A-Za-z_$][\w$]*)*)", written(target))
            if words is None:
                continue
            members = tuple(filter(None, words[2].split(".")))
            symbol = self._graph.resolve(source.path, words[1], members)
            if symbol is not None:
                yield _Mount(source.path, site.receiver, prefix, symbol)

    def _prefixes(
        self, path: str, router: str, mounts: list[_Mount], roots: set[tuple[str, str]], hops: int
    ) -> set[str]:
        if not router or (path, router) in roots:
            return {""}
        found: set[str] = set()
        for mount in mounts:
            if hops and (mount.target.path, mount.target.qualified) == (path, router):
                outer = self._prefixes(mount.path, mount.router, mounts, roots, hops - 1)
                found |= {joined(prefix, mount.prefix) for prefix in outer}
        return found


_APPS: Final = frozenset({"express", "fastify", "Fastify", "Koa", "Hono", "OpenAPIHono", "polka", "FastAPI", "Flask"})


def shape(address: str) -> str:
    """An address with its parameters made alike: `/users/:`, whatever they are called."""
    bare = re.sub(r"\$?\{[^{}]{0,200}\}|:\w+\??|<[^<>]{1,80}>|\*\w*", ":", address.split("?")[0].split("#")[0])
    return joined("", bare)


def _keyword(site: CallSite, name: str) -> str:
    for one in site.arguments:
        if one.type == "keyword_argument" and text_of(one.child_by_field_name("name")) == name:
            return string_of(one.child_by_field_name("value")) or ""
    return ""
