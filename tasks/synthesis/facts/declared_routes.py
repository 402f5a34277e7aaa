"""The HTTP routes that a file declares, as the calls, decorators, annotations and attributes of the common frameworks
say them: Express, Koa, Fastify, Hono and Nest; Flask, FastAPI, Starlette and Django; net/http, gorilla, gin, echo and
chi; Spring and JAX-RS; axum, actix and Rocket; ASP.NET; Laravel, Slim and Symfony; Rails and Sinatra.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from tasks.synthesis.facts.syntax import Annotation, CallSite, annotations_of, arguments_of, call_of, name_of, string_of
from tasks.text.languages import language_of
from tasks.text.references import written
from tasks.text.syntax_tree import text_of

METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
MAX_HANDLER: Final = 120
"""A handler written out longer than this is an inline function or an expression that nobody would quote."""

_ROUTER: Final = re.compile(
    r"\b(?:const|let|var)\s+(\w{1,60})(?:\s*:\s*[\w.<>]{1,60})?\s*=\s*(?:await\s+)?(?:new\s+)?(?:\w{1,40}\.)?"
    r"(Router|express|fastify|Fastify|Koa|Hono|OpenAPIHono|polka|KoaRouter)\s*(?:<[^>\n]{0,80}>)?\("
    r"|\b(\w{1,60})\s*:\s*(?:\w{1,40}\.)?(Express|Application|FastifyInstance|Router|IRouter|Hono)\b"
)
_GO_VERBS: Final = frozenset(
    {"HandleFunc", "Handle", "Any"} | {verb.upper() for verb in METHODS} | {v.title() for v in METHODS}
)
_SPRING: Final = {f"{verb.title()}Mapping": verb.upper() for verb in METHODS}
_ATTRIBUTES: Final = {f"Http{verb.title()}": verb.upper() for verb in METHODS}
_NEST: Final = {verb.title(): verb.upper() for verb in METHODS}
_CLASSES: Final = ("class_declaration", "export_statement", "interface_declaration")
_INLINE: Final = frozenset(
    {"arrow_function", "function_expression", "lambda", "func_literal", "closure_expression", "lambda_expression"}
    | {"anonymous_function", "anonymous_function_creation_expression", "generator_function"}
)


@dataclass(frozen=True)
class Route:
    """One route as a file declares it."""

    path: str
    """The file."""
    method: str
    """`GET`; `any` where the declaration names none."""
    address: str
    """Below its router until the table has put the mounts before it."""
    handler: str
    """The name of the handler, or of the function that makes it; empty for one written in place."""
    given: tuple[str, ...]
    """Plain strings that the maker of the handler is given."""
    before: tuple[str, ...]
    """Names of what runs before the handler."""
    first: int
    last: int
    router: str = ""
    """Name of the router that it is declared on, in the file."""
    mounted: bool = True
    """Whether the address is whole."""

    @property
    def name(self) -> str:
        """As people say it: `GET /users`."""
        return self.address if self.method == "any" else f"{self.method} {self.address}"


def joined(prefix: str, address: str) -> str:
    """Two parts of an address with one slash between them."""
    whole = f"{prefix.rstrip('/')}/{address.lstrip('/')}"
    return whole.rstrip("/") or "/"


def routers(text: str) -> list[tuple[str, str]]:
    """(name, what makes it) of the routers and applications that a file makes or is given."""
    found = [(match[1] or match[3], match[2] or match[4]) for match in _ROUTER.finditer(text)]
    python = re.findall(
        r"^(\w{1,60})\s*(?::\s*\w{1,40}\s*)?=\s*(?:\w{1,40}\.)?(FastAPI|Flask|APIRouter|Blueprint)\(", text, re.M
    )
    return found + python


def declared(source: Any) -> list[Route]:
    """Routes that a file declares, in order of position."""
    language = language_of(source.path) or ""
    if language in ("javascript", "typescript", "tsx"):
        found = [*_script(source), *_annotated(source)]
    elif language == "python":
        found = [*_python(source), *_django(source)]
    elif language == "go":
        found = list(_go(source))
    elif language in ("java", "kotlin", "csharp", "rust", "php"):
        found = [*_annotated(source), *_called(source)]
    elif language == "ruby":
        found = list(_ruby(source))
    else:
        return []
    return sorted(found, key=lambda route: (route.first, route.last))


def _script(source: Any) -> Iterator[Route]:
    known = {name for name, _ in routers(source.document.text)}
    if not known:
        return
    for site in source.calls:
        receiver, address, arguments = site.receiver, None, site.arguments
        if site.name not in (*METHODS, "all"):
            continue
        chain = re.match(r"(\w+)\s*\.route\(\s*['\"]([^'\"\n]{1,200})['\"]\s*\)", receiver)
        if chain:
            receiver, address = chain[1], chain[2]
        elif arguments:
            address, arguments = string_of(arguments[0]), arguments[1:]
        if receiver not in known or not address or address[0] not in "/*" or not arguments:
            continue
        handler, given = _handler(arguments[-1])
        before = tuple(name for one in arguments[:-1] if (name := _handler(one)[0]))
        yield _made(source, site, "any" if site.name == "all" else site.name, address, handler, given, before, receiver)


def _made(
    source: Any,
    site: CallSite,
    method: str,
    address: str,
    handler: str,
    given: tuple[str, ...] = (),
    before: tuple[str, ...] = (),
    router: str = "",
) -> Route:
    first, last = site.node.start_point.row + 1, site.node.end_point.row + 1
    upper = method if method == "any" else method.upper()
    return Route(source.path, upper, address, handler, given, before, first, last, router)


def _handler(node: Any) -> tuple[str, tuple[str, ...]]:
    """Name of a handler or of the function that makes it, and the plain strings that it is given."""
    if node.type in _INLINE:
        return "", ()
    if node.type in ("identifier", "member_expression", "selector_expression", "attribute", "scoped_identifier"):
        text = written(node)
        return (text, ()) if len(text) <= MAX_HANDLER else ("", ())
    if node.type in ("call_expression", "call"):
        inner = node
        strings: list[str] = []
        while True:
            site = call_of(inner)
            for one in arguments_of(inner.child_by_field_name("arguments")):
                if (plain := string_of(one)) is not None:
                    strings.append(plain)
                elif one.type in ("object", "dictionary"):
                    strings += [url for pair in one.named_children if (url := _url_of(pair))]
            function = inner.child_by_field_name("function")
            if function is None or function.type not in ("call_expression", "call"):
                break
            inner = function
        name = f"{site.receiver}.{site.name}" if site and site.receiver else site.name if site else ""
        return (name, tuple(strings)) if re.fullmatch(r"[\w$.]{1,80}", name) else ("", ())
    return "", ()


def _url_of(pair: Any) -> str:
    key = pair.child_by_field_name("key")
    plain = text_of(key).strip("'\"") if key is not None else ""
    return (string_of(pair.child_by_field_name("value")) or "") if plain in ("url", "path", "target", "uri") else ""


def _strings_of(node: Any) -> list[str]:
    return [
        text for child in (node.named_children if node is not None else ()) if (text := string_of(child)) is not None
    ]


def _python(source: Any) -> Iterator[Route]:
    prefixes = {
        match[1]: match[2]
        for match in re.finditer(
            r"^(\w{1,60})\s*=\s*(?:\w{1,40}\.)?(?:APIRouter|Blueprint)\((?:[^()]{0,300}?)\b(?:url_)?prefix\s*=\s*['\"]([^'\"\n]{0,200})['\"]",
            source.document.text,
            re.MULTILINE,
        )
    }
    for found in annotations_of(source.path, source.root):
        if found.name not in (*METHODS, "route", "api_route", "websocket") or not found.receiver or not found.arguments:
            continue
        address = string_of(found.arguments[0])
        handler = name_of(found.owner)
        if address is None or not address.startswith("/") or not handler or not re.fullmatch(r"[\w.]+", found.receiver):
            continue
        methods = [found.name.upper()] if found.name in METHODS else []
        for one in found.arguments:
            if one.type == "keyword_argument" and text_of(one.child_by_field_name("name")) == "methods":
                methods = [text.upper() for text in _strings_of(one.child_by_field_name("value"))]
        if not methods and found.name == "route":
            methods = ["GET"]
        address = joined(prefixes.get(found.receiver, ""), address)
        yield from _owned(source, found, methods or ["any"], address, handler, found.receiver)


def _owned(
    source: Any, found: Annotation, methods: list[str], address: str, handler: str, router: str = ""
) -> Iterator[Route]:
    first, last = found.node.start_point.row + 1, found.owner.end_point.row + 1
    for method in methods:
        yield Route(source.path, method, address, handler, (), (), first, last, router)


def _django(source: Any) -> Iterator[Route]:
    if "urlpatterns" not in source.document.text:
        return
    for site in source.calls:
        if site.receiver or site.name not in ("path", "re_path") or len(site.arguments) < 2:
            continue
        address, view = string_of(site.arguments[0]), site.arguments[1]
        if address is None or (view.type == "call" and text_of(view).startswith("include(")):
            continue
        handler = re.sub(r"\.as_view\(.*$", "", written(view))
        if re.fullmatch(r"[\w.]{1,80}", handler):
            route = _made(source, site, "any", joined("", address) if site.name == "path" else address, handler)
            yield replace(route, mounted=False)


def _go(source: Any) -> Iterator[Route]:
    text = source.document.text
    groups = dict(re.findall(r"\b(\w{1,60})\s*:?=\s*\w{1,60}\.Group\(\"([^\"\n]{0,200})\"", text))
    for site in source.calls:
        if site.name not in _GO_VERBS or len(site.arguments) < 2 or not re.fullmatch(r"\w+", site.receiver):
            continue
        address = string_of(site.arguments[0])
        method = site.name.lower() if site.name.lower() in METHODS else "any"
        if address and (verb := re.match(r"([A-Z]{3,7}) (/.*)", address)):
            method, address = verb[1].lower(), verb[2]
        if not address or not address.startswith("/"):
            continue
        outer = site.node.parent.parent if site.node.parent is not None else None
        chained = call_of(outer) if outer is not None and outer.type == "call_expression" else None
        if chained is not None and outer is not None and chained.name == "Methods":
            verbs = re.findall(r"\"([A-Z]+)\"|Method([A-Z]\w+)", text_of(outer.child_by_field_name("arguments")))
            method = (verbs[0][0] or verbs[0][1]).lower() if verbs else method
        handler = _handler(site.arguments[-1])[0]
        prefix = groups.get(site.receiver, "") + _nested(site.node)
        yield _made(source, site, method, joined(prefix, address), handler)


def _nested(node: Any) -> str:
    """Prefixes of chi's `r.Route("/x", func(r chi.Router) { … })` around a call."""
    found = ""
    while (node := node.parent) is not None:
        if node.type == "call_expression" and (site := call_of(node)) and site.name == "Route" and site.arguments:
            found = (string_of(site.arguments[0]) or "").rstrip("/") + found
    return found


def _annotated(source: Any) -> Iterator[Route]:
    """Spring, JAX-RS, Nest, ASP.NET, Symfony, actix and Rocket."""
    found = list(annotations_of(source.path, source.root))
    classes: dict[int, str] = {}
    for one in found:
        of_class = one.owner is not None and one.owner.type in _CLASSES
        if of_class and one.name in ("RequestMapping", "Path", "Controller", "Route"):
            classes[one.owner.start_byte] = _address(one)
    paths = {one.owner.start_byte: _address(one) for one in found if one.name == "Path" and one.owner is not None}
    for one in found:
        methods, address = _verb(one, source.language)
        if not methods or one.owner is None or not (handler := name_of(one.owner)):
            continue
        if one.name.isupper():  # JAX-RS: the address stands beside it
            address = paths.get(one.owner.start_byte, "")
        around = one.owner
        while around is not None and around.start_byte not in classes:
            around = around.parent
        prefix = classes.get(around.start_byte, "") if around is not None else ""
        owner = name_of(around) if around is not None else ""
        prefix = prefix.replace("[controller]", re.sub(r"Controller$", "", owner))
        if one.owner.type not in ("class_declaration", "export_statement"):
            yield from _owned(source, one, methods, joined(prefix, address), handler)


def _address(one: Annotation) -> str:
    for argument in one.arguments:
        if (text := string_of(argument)) is not None:
            return text
        label = text_of(argument.named_children[0]) if argument.named_child_count else ""
        if argument.type in ("element_value_pair", "value_argument", "assignment_expression") and label not in (
            "value",
            "path",
        ):
            continue
        for child in (argument, *argument.named_children):
            if strings := _strings_of(child):
                return strings[0]
    return ""


def _verb(one: Annotation, language: str) -> tuple[list[str], str]:
    if language in ("java", "kotlin"):
        if one.name in _SPRING:
            return [_SPRING[one.name]], _address(one)
        if one.name == "RequestMapping" and (verbs := re.findall(r"RequestMethod\.([A-Z]+)", text_of(one.node))):
            return verbs, _address(one)
        return ([one.name], "") if one.name.lower() in METHODS and one.name.isupper() else ([], "")
    if language == "csharp":
        return ([_ATTRIBUTES[one.name]], _address(one)) if one.name in _ATTRIBUTES else ([], "")
    if language == "rust":
        strings = re.findall(r"\"([^\"\n]{0,200})\"", text_of(one.node))
        return ([one.name.upper()], strings[0]) if one.name in METHODS and strings else ([], "")
    if language == "php":
        listed = re.search(r"methods\s*:\s*\[([^\]\n]{0,100})\]", text_of(one.node))
        verbs = re.findall(r"['\"](\w+)['\"]", listed[1]) if listed else []
        return ([verb.upper() for verb in verbs] or ["any"], _address(one)) if one.name == "Route" else ([], "")
    return ([_NEST[one.name]], _address(one)) if one.name in _NEST and one.node.type == "decorator" else ([], "")


def _called(source: Any) -> Iterator[Route]:
    """Laravel and Slim, minimal APIs of ASP.NET, axum."""
    for site in source.calls:
        if not site.arguments or (address := string_of(site.arguments[0])) is None or len(site.arguments) < 2:
            continue
        target = site.arguments[1]
        if (
            source.language == "php"
            and site.name in METHODS
            and site.receiver.lstrip("$") in ("Route", "app", "router", "group")
        ):
            names = re.fullmatch(r"\[\s*(\w+)::class\s*,\s*['\"](\w+)['\"]\s*\]", written(target))
            said = string_of(target)
            handler = f"{names[1]}::{names[2]}" if names else said if said and re.fullmatch(r"[\w@:\\]+", said) else ""
            yield _made(source, site, site.name, joined("", address), handler)
        elif source.language == "csharp" and site.name.startswith("Map") and site.name[3:].lower() in METHODS:
            yield _made(source, site, site.name[3:], joined("", address), _handler(target)[0])
        elif source.language == "rust" and site.name == "route" and address.startswith("/"):
            for verb, handler in re.findall(
                r"\b(get|post|put|patch|delete|head|options)\(\s*([\w:]{1,80})\s*\)", text_of(target)
            ):
                yield _made(source, site, verb, address, handler)


def _ruby(source: Any) -> Iterator[Route]:
    rails = source.path.endswith("routes.rb")
    if not rails and not re.search(r"\bsinatra\b|Sinatra::", source.document.text):
        return
    for site in source.calls:
        if site.receiver or site.name not in METHODS or not site.arguments:
            continue
        address = string_of(site.arguments[0])
        if address is None:
            continue
        to = re.search(r"(?:to:|=>)\s*['\"]([\w/]+#\w+)['\"]", written(site.node)[:300])
        if rails and to and not _scoped(site.node):
            yield _made(source, site, site.name, joined("", address), to[1])
        elif not rails and address.startswith("/") and site.node.child_by_field_name("block") is not None:
            yield _made(source, site, site.name, address, "")


def _scoped(node: Any) -> bool:
    """Whether a Rails route stands in a block that changes its address."""
    while (node := node.parent) is not None:
        if (
            node.type == "call"
            and (site := call_of(node))
            and site.name in ("namespace", "scope", "resources", "member")
        ):
            return True
    return False
