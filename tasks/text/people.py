"""Who said something: accounts of programs, and conversations without names, e-mail addresses and telephone numbers.

Rules hide who took part, wherever the others name them, and what a forge marks as a mention. Names of people who said
nothing, nicknames and parts of names stay: rules do not find them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_BOT: Final = re.compile(
    r"\[bot\]$|[-_](?:bot|robot|ci)$|(?<=[a-z])Bot$|^(?:bot|robot)[-_]"
    r"|^(?:bors|homu|dependabot|renovate|codecov|codecov-io|codecov-commenter|coveralls|googlebot|rustbot|rust-highfive"
    r"|rust-timer|mergify|vercel|netlify|sonarcloud|sonarqubecloud|claassistant|cla-assistant|snyk|greenkeeper|hound"
    r"|houndci|pep8speaks|lgtm-com|deepsource|codeclimate|codacy|allcontributors|asfgit|jenkins|travis|circleci"
    r"|appveyor|pyup|scala-steward|weblate|whitesource|mend|imgbot|stale|gitguardian|chromatic|percy|argos|coderabbitai"
    r"|copilot|cursor|prow|tekton|buildkite|teamcity|azure-pipelines|github-actions|k8s-github-robot|pytorchmergebot"
    r"|prbot|prbuilds|mergebot|bors-servo|openshift-merge-robot|facebook-github-tools|linux-foundation-easycla|changesets?)$",
)
_MAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE: Final = re.compile(
    r"(?<![\w.-])\+\d[\d ()/.-]{6,18}\d(?!\w)|(?<![\w.-])\(?0\d{2,5}\)?[ /-]\d[\d -]{4,12}\d(?!\w)"
)
_MENTION: Final = re.compile(r"(?<![\w/`@.+-])@[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}(?![\w/(-]|\.\w)")
"""What GitHub links to an account; `@scope/package`, `@module.decorator` and `@call(` are none."""
_ANY_MENTION: Final = re.compile(r"(?<![\w/`@.+-])@\w(?:[\w.-]{0,253}\w)?(?![\w/(-])")
"""What GitLab and Gitea do, where names may have dots and underscores."""
_MAILED: Final = re.compile(
    r"^[ \t]{0,4}-{2,20}[ \t]?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original)\b[\s\S]*"
    r"|^(?:On|Am|Le|El) (?=[^\n]{0,120}\d)[^\n]{5,160}(?:\n[^\n]{0,120})?"
    r"\b(?:wrote|schrieb|a écrit|escribió)[ \t]?:[ \t]*$"
    r"(?:\n(?:>[^\n]*|[ \t]*)$)*",
    re.MULTILINE,
)
"""What a mail program puts below or above an answer that is sent to a forge by mail: somebody else's name and words."""
LONG_NAME: Final = 7
"""Letters of an account's name that is no ordinary word, or seldom."""
_NO_WORD: Final = re.compile(r"[0-9A-Z -]")
_CODE: Final = re.compile(
    r"^ {0,3}(`{3,}+|~{3,}+)[^\n]*+\n[\s\S]*?(?:^ {0,3}\1[`~]*+[ \t]*+$|\Z)|(?<!`)(`++)[^`\n]++\2", re.MULTILINE
)


def is_bot(login: str | None) -> bool:
    """Whether an account is a program's, by its name: GitHub's apps end in `[bot]`, others have ordinary accounts."""
    return login is not None and _BOT.search(login if login.endswith("Bot") else login.lower()) is not None


def without_addresses(text: str) -> str:
    """A text without e-mail addresses and telephone numbers."""
    return _PHONE.sub("[telephone]", _MAIL.sub("[e-mail]", text))


def without_mail(text: str) -> str:
    """A post without the mail that it answers."""
    return _MAILED.sub("", text)


class Hidden:
    """What the people of one conversation are called, in the order in which they spoke: `Person 1`, `Person 2`."""

    def __init__(self, names: Iterable[str], any_name: bool = False) -> None:
        """Of whom.

        Args:
            names: those who spoke, in order; programs among them stay.
            any_name: whether accounts may have names that GitHub gives nobody, such as `ann.lee` and `ann_lee`.
        """
        self._mention = _ANY_MENTION if any_name else _MENTION
        people = dict.fromkeys(name for name in names if name and not is_bot(name))
        self._shown = {name: f"Person {number}" for number, name in enumerate(people, 1)}
        self._everywhere = _any_of(self._shown)
        self._no_words = _any_of(name for name in self._shown if len(name) >= LONG_NAME or _NO_WORD.search(name))
        self._in_code = _any_of(name for name in self._shown if len(name) > 4 and _NO_WORD.search(name))

    def name(self, author: str | None) -> str | None:
        """What stands for an author; a program keeps its name."""
        return self._shown.get(author, author) if author else author

    def text(self, text: str) -> str:
        """A text without names of those who spoke, e-mail addresses and telephone numbers."""
        return without_addresses(self._without(self._everywhere, text))

    def markdown(self, text: str) -> str:
        """The same of a forge's Markdown: whoever else is mentioned is `[person]`.

        An account may be called `get` or `test`: outside code a short word leaves as a mention only, and in code only
        names leave that are no word at all.
        """
        parts: list[str] = []
        end = 0
        for code in _CODE.finditer(text):
            parts += [self._told(text[end : code.start()]), self._without(self._in_code, code[0])]
            end = code.end()
        return without_addresses("".join([*parts, self._told(text[end:])]))

    def _told(self, text: str) -> str:
        said = self._mention.sub(lambda found: self._shown.get(found[0][1:], "[person]"), text)
        return self._without(self._no_words, said)

    def _without(self, names: re.Pattern[str] | None, text: str) -> str:
        return text if names is None else names.sub(lambda found: self._shown[found[1]], text)


def _any_of(names: Iterable[str]) -> re.Pattern[str] | None:
    longest = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<!\w)@?({'|'.join(map(re.escape, longest))})(?!\w)") if longest else None
