"""Secrets that the scanner library does not know or finds too often: by the shape that an issuer gives its keys, by
the place where nothing else stands, or by the name that they are given to.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tasks.text.secret_values import decoded, is_random, looks_secret


class Place(NamedTuple):
    """Where a secret stands."""

    rule: str
    start: int
    end: int


ISSUED: Final = (
    ("huggingface-access-token", ("hf_",), re.compile(r"(?<![\w-])(hf_[A-Za-z0-9]{30,60})(?![\w-])")),
    (
        "openai-api-key",
        ("sk-",),
        re.compile(r"(?<![\w-])(sk-(?:proj|svcacct|admin)-[\w-]{20,250})(?![\w-])", re.ASCII),
    ),
    ("aws-access-token", ("AKIA", "ASIA"), re.compile(r"(?<![A-Za-z0-9])(A[KS]IA[A-Z2-7]{16})(?![A-Za-z0-9])")),
    ("google-oauth", ("GOCSPX-",), re.compile(r"(?<![\w-])(GOCSPX-[\w-]{28})(?![\w-])", re.ASCII)),
    ("google-oauth", ("ya29.",), re.compile(r"(?<![\w.-])(ya29\.[\w-]{30,300})", re.ASCII)),
    ("gcp-api-key", ("AIza",), re.compile(r"(?<![\w-])(AIza[\w-]{35})(?![\w-])", re.ASCII)),
    ("azure-client-secret", ("Q~",), re.compile(r"(?<![\w~.-])([\w~.-]{3}\dQ~[\w~.-]{31,34})(?![\w~.-])", re.ASCII)),
    (
        "notion-token",
        ("secret_", "ntn_"),
        re.compile(r"(?<![\w-])(secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{40,60})(?![\w-])"),
    ),
    (
        "discord-webhook",
        ("/api/webhooks/",),
        re.compile(r"discord(?:app)?\.com/api/webhooks/\d{17,20}/([\w-]{60,80})", re.ASCII),
    ),
    (
        "lambda-cloud-key",
        ("secret_",),
        re.compile(r"(?<![\w-])(secret_[\w-]{1,40}_[0-9a-f]{32}\.[A-Za-z0-9]{20,60})(?!\w)", re.ASCII),
    ),
    (
        "generic-token-in-address",
        ("@",),
        re.compile(r"(?<!\w)https?://([\w-]{20,255})(?::x-oauth-basic)?@[\w.-]", re.ASCII),
    ),
)
"""(rule, what stands in every such key, shape); shapes are those that issuers give their keys. betterleaks 2.0.0 takes
`hf_` only before 34 letters without a digit, and `sk-proj-` only where `T3BlbkFJ` stands in the middle of one of three
exact lengths; issuers have changed both before.
"""

MIN_DISTINCT: Final = 12
"""Different characters of a key."""
PEM_BEGIN: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?:\r?\n|\\n)[ \t]{0,40}[+-]?[\w+/=]{16,80}){1,500}",
    re.ASCII,
)
PEM_END: Final = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_LINE: Final = re.compile(r"[ \t]{0,40}[+-]?[\w+/=]{16,80}\r?", re.ASCII)
"""A private key whose end or beginning was cut off, as in the hunk of a patch."""
PEM_LINES: Final = 500
PEM_LINE_CHARACTERS: Final = 160
MIDDLE_LINES: Final = 4
"""Lines of 64 base64 characters in a row that are neither begun nor ended: the middle of a key, or of anything else in
base64, which nobody learns from either.
"""
PEM_MIDDLE: Final = re.compile(
    rf"(?<![^\n])(?:[ \t]{{0,40}}[+-]?[A-Za-z0-9+/]{{64}}(?![\w+/=])\r?\n){{{MIDDLE_LINES},500}}+"
    r"[ \t]{0,40}[+-]?[A-Za-z0-9+/]{0,64}={0,2}"
)
OTHER_PEM: Final = re.compile(r"-----(?:BEGIN|END) (?![A-Z ]{0,40}PRIVATE KEY)")
"""A certificate, a public key, a signature."""
X509: Final = re.compile(rb"\x06\x03U[\x04\x1d]|[\x20-\x7e]{12}")
"""Object identifiers of names and of extensions in DER, and text; 12 random bytes are printable once in 150,000."""
BASE64: Final = re.compile(r"(?<![\w+/.-])[A-Za-z0-9+/]{40,20000}+={0,2}(?![\w+/.-])")
BASE64_HEAD: Final = 120
"""Characters that are decoded first: what is no text there is no secret written twice."""

BEARER: Final = re.compile(
    r"(?i:authorization)[\\'\"\])]{0,3}\s?[:=,]\s?\\?['\"`]?(?i:bearer|token) ([\w.~+/=-]{16,500})", re.ASCII
)
BASIC: Final = re.compile(
    r"(?i:authorization)[\\'\"\])]{0,3}\s?[:=,]\s?\\?['\"`]?(?i:basic) ([\w+/-]{8,500}={0,2})", re.ASCII
)
CURL_USER: Final = re.compile(r"(?<=\s)(?:-u|--user|--proxy-user)[ =]?['\"]?[\w.@+-]{1,80}:([^\s'\"]{6,200})")

NAMES: Final = ("pass", "pwd", "secret", "token", "credential", "auth", "dsn", "salt", "key")
"""One of these stands in the name of every value that is told to be secret; looked for one by one, since a pattern of
all of them costs ten times as much.
"""
KEYS: Final = re.compile(
    r"(?:(?:api|access|private|signing|encryption|master|account|storage|shared|license|service|secret|session)[_.-]?"
    r"|[_-])$",
    re.IGNORECASE,
)
"""What stands before `key` where it is a secret one."""
ASSIGNED: Final = re.compile(
    r"(?i:(?P<password>passw(?:or)?d|passwd|passphrase|(?<![a-z])pwd|(?<![a-z])pass(?![a-z])|secret)"
    r"|token|credentials?|(?<![a-z])auth(?![a-z])|dsn|salt|key)"
    r"(?P<rest>[\w.-]{0,40}+)"
    r"(?:\\?['\"\])]{0,2}[ \t]{0,3}(?:=>|:=|[:=])[ \t]{0,3}|['\"]\s{1,3}value[ \t]?=[ \t]?|>\s{0,3}"
    r"|\\?['\"][ \t]?,[ \t]?"
    r"|\([ \t]?|[ \t](?=[^\s\"'`]{8,400}+$))"
    r"(?:[brf@](?=[\"']))?(?:\\?\"(?P<double>[^\"\s\\]{8,400})\\?\"|'(?P<single>[^'\s\\]{8,400})'|`(?P<back>[^`\s]{8,400})`"
    r"|(?P<bare>[^\s\"'`<>,;\[\]{}]{8,400}))",
    re.MULTILINE,
)
"""`SECRET_KEY = '…'`, `DB_PASSWORD=…`, `<password>…</password>`, `name="password" value="…"`, `"apiToken": "…"`,
`password …` at the end of a line, as in a netrc.
"""
NOT_ITSELF: Final = re.compile(
    r"(?:name|ref|path|file|dir|folder|url|uri|endpoint|type|field|label|header|hint|placeholder|length|count|ttl|age|hash"
    r"|expir\w*|prefix|suffix|pattern|regexp?|policy|manager|provider|service|s3|bucket|arn|id|version)$",
    re.IGNORECASE,
)
"""What the name of a secret ends in where the value is about it."""
PUBLIC: Final = re.compile(
    r"public|publishable|page|csrf|next|cache|sort|partition|websocket|primary|foreign|i18n|translat", re.IGNORECASE
)
SUBSTITUTED: Final = re.compile(r"\$\{\w{0,24}$")
"""`${PASSWORD:-…}`: a shell's own words follow."""
PUBLIC_CHARACTERS: Final = 24
"""Before the name's telling part, where a word says that everybody may know it."""


def issued(text: str) -> Iterator[Place]:
    """Keys by their shape: with digits and many different characters, so that `hf_xxxxxxxx` of manuals stays."""
    for rule, marks, pattern in ISSUED:
        if not any(mark in text for mark in marks):
            continue
        for match in pattern.finditer(text):
            number = match.lastindex or 0
            is_mixed = len(set(match[number])) >= MIN_DISTINCT and any(map(str.isdigit, match[number]))
            if is_mixed and any(map(str.isalpha, match[number])):
                yield Place(rule, *match.span(number))


def assigned(text: str) -> Iterator[Place]:
    """Values that are given to a name which says that they are secret, and credentials in headers and commands."""
    for start in _named(text):
        match = ASSIGNED.match(text, start)
        if match is None:
            continue
        group = match.lastgroup or ""
        before = text[max(0, start - PUBLIC_CHARACTERS) : start]
        if match[0][:3].lower() == "key" and not KEYS.search(before):
            continue
        if NOT_ITSELF.search(match["rest"]) or PUBLIC.search(re.split(r"[^\w.-]", before)[-1]):
            continue
        opened = text[match.start(group) - 1 : match.start(group) + 1]
        if SUBSTITUTED.search(before) or (group == "bare" and "(" in opened):  # what is called or computed
            continue
        value = match[group].rstrip(".):") if group == "bare" else match[group]
        if looks_secret(value, match["password"] is not None, group != "bare"):
            yield Place("generic-secret", match.start(group), match.start(group) + len(value))
    for match in BEARER.finditer(text):
        if looks_secret(match[1]):
            yield Place("generic-bearer-token", *match.span(1))
    for match in BASIC.finditer(text):
        if looks_secret(decoded(match[1]).partition(":")[2], is_password=True):
            yield Place("generic-basic-credentials", *match.span(1))
    for match in CURL_USER.finditer(text):
        if looks_secret(match[1], is_password=True):
            yield Place("generic-curl-user", *match.span(1))


def _named(text: str) -> list[int]:
    """Where the words begin by which names of secrets are known."""
    lower = text.replace("İ", "i").lower()  # the only letter whose lower case is longer
    found = set()
    for name in NAMES:
        place = lower.find(name)
        while place >= 0:
            found.add(place)
            place = lower.find(name, place + len(name))
    return sorted(found)


def private_keys(text: str) -> Iterator[Place]:
    """Private keys that are cut off at an end or at both."""
    for match in PEM_BEGIN.finditer(text):
        yield Place("private-key", *match.span())
    for match in PEM_END.finditer(text):
        start = end_line = _line_start(text, match.start())
        for _ in range(PEM_LINES):
            before = _line_start(text, start - 1)
            if start == 0 or PEM_LINE.fullmatch(text, before, start - 1) is None:
                break
            start = before
        if start < end_line:
            yield Place("private-key", start, match.end())
    for match in PEM_MIDDLE.finditer(text):
        around = text[max(0, match.start() - PEM_LINE_CHARACTERS) : match.start()], text[match.end() : match.end() + 80]
        if is_random(match[0][:200]) and not any(map(OTHER_PEM.search, around)) and not _is_certificate(match[0]):
            yield Place("private-key", *match.span())


def _is_certificate(lines: str) -> bool:
    """Whether base64 of whole lines holds what a private key has not: names, extensions, readable text."""
    bare = "".join(line.strip()[-64:] for line in lines.split("\n"))
    held = binascii.a2b_base64(bare[: len(bare) // 4 * 4])
    return X509.search(held) is not None


def encoded(text: str, rule_of: Callable[[str], str | None]) -> Iterator[Place]:
    """Text in base64 that holds a secret, as in a secret of Kubernetes; `rule_of` names the rule of a text's secret."""
    for match in BASE64.finditer(text):
        if decoded(match[0][:BASE64_HEAD]) and (rule := rule_of(decoded(match[0]))):
            yield Place(rule, *match.span())


def _line_start(text: str, position: int) -> int:
    """Where the line of a position begins, or what a line of a key cannot be longer than before it."""
    first = max(0, position - PEM_LINE_CHARACTERS)
    return max(first, text.rfind("\n", first, max(0, position)) + 1)
