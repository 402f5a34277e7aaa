"""Method `near_miss`: plausible questions that the documents do not answer, with an honest refusal.

Fine-tuning on new facts erases abstention (3,189 refusals of 21,036 questions fell to at most 5, arXiv 2502.14502,
table 4); a few percent of
unanswerable questions next to answerable ones are meant to keep it. A name is made up from parts of real ones and
checked against every word of the repository, trained and held out; the rest of the question is a real one's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import BaseModel

from tasks.base.records import Document, Verdict
from tasks.llm.calls import Call
from tasks.synthesis import pages, prompts
from tasks.synthesis.drafts import Draft, month, pick, repo_name
from tasks.synthesis.evidence import windows
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.wordings import WORDINGS
from tasks.synthesis.wordings.grammar import asking, said, slots, usable
from tasks.text.facts import Fact

METHOD: Final = "near_miss"
PROMPT_VERSION: Final = "near_miss/2026.11.30.3"

TASK: Final = """\
Write exactly {number} questions about `{path}` of the repository `{repo}` that sound as natural as questions which \
it answers, but which it does NOT answer: a detail that it leaves out, a function, option or number that it does not \
have. Name for each in a few words what is missing."""

REFUSALS: Final = (
    "I don't know: {page} of `{repo}` does not say ({missing}).",
    "I can't answer that. As far as I know, {page} of `{repo}` says nothing about it ({missing}).",
    "That is not something {page} of `{repo}` tells ({missing}), so I don't know.",
)

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class NearMiss(prompts.Reply):
    """One unanswerable question."""

    question: str
    missing: str


class NearMisses(prompts.Reply):
    """The reply."""

    questions: list[NearMiss]


def applies(subject: Subject) -> bool:
    """Every document."""
    return True


def share(subject: Subject, params: SynthesisParams) -> int:
    """How many near misses a document gets, so that over a corpus they are the wanted share of all dialogues.

    The fraction that is left of a whole one is decided by a hash of the document's id.
    """
    if subject.made:
        number = subject.made * params.near_miss_fraction / (1 - params.near_miss_fraction)
    else:
        pairs = max(1.0, len(subject.document.text) * params.pairs_per_1000_characters / 1000)
        number = pairs * params.wordings * params.near_miss_fraction
    chance = int.from_bytes(hashlib.sha256(f"near-miss {subject.document.id}".encode()).digest()[:4], "big") / 2**32
    return int(number) + (chance < number % 1)


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """Questions in the words that real facts of the document are asked with, about names that are made up.

    Because question and kind are real ones, nothing but the name tells that there is no answer.
    """
    number = share(subject, params)
    asked: set[str] = set()
    for turn in range(TURNS if number else 0):
        for fact in _shuffled(subject.facts):
            fake = _made_up(subject, fact, turn)
            draft = _asked(subject, fact, fake) if fake is not None else None
            if draft is None or draft.question in asked:
                continue
            asked.add(draft.question)
            yield draft
            if len(asked) == number:
                return


TURNS: Final = 6
"""Most made-up names that one fact lends its form."""


def _shuffled(facts: Sequence[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda fact: hashlib.sha256(f"refusal {fact.id}".encode()).digest())


NAMED: Final = frozenset(
    {
        "location", "signature", "parameters", "purpose", "calls", "caller", "reverse-use", "type", "enum", "value",
        "introduction", "subclasses", "hierarchy", "tested-by", "rendered-by", "renders", "union",
        "default", "field", "environment", "profile", "call-walkthrough", "props",
    }
)  # fmt: skip
"""Kinds whose subject is a name that can be made up."""

SAID: Final = frozenset({"section", "list", "section-place", "snippet"})
"""Kinds whose subject is a heading."""

NUMBERED: Final = frozenset({"pull", "commits", "symbols-added", "symbols-removed"})
"""Kinds whose subject is a pull request."""

VERSIONED: Final = frozenset({"changelog", "release-date"})
"""Kinds whose subject is a version."""

OPEN_SLOTS: Final = frozenset({"repo", "subject", "named", "thing", "scope", "page", "kind", "noun", "alone"})
"""Slots that stay true with another subject."""


def _made_up(subject: Subject, fact: Fact, turn: int) -> str | None:
    """A subject like the fact's that no document of the repository, trained or held out, speaks of."""
    index, repo = subject.index, subject.document.repo
    key = f"refusal {turn} {fact.id}"
    if fact.kind in NUMBERED:
        unknown = index.unknown_pulls(repo)
        return f"#{pick(unknown, key, 1)[0]}" if unknown else None
    if fact.kind in NAMED:
        head, dot, last = fact.subject.rpartition(".")
        if len(_WORDS.findall(last)) < 2 or turn == 1:
            foreign = [name for name in alike(last) if not index.speaks_of(name)]
            return f"{head}{dot}{pick(foreign, key, 1)[0]}" if foreign else None
        for other in pick(index.names(repo), key, len(index.names(repo))):
            fake = mixed(last, [other])
            if fake is not None and not index.speaks_of(fake):
                return f"{head}{dot}{fake}"
    if fact.kind in VERSIONED:
        return _later_version(subject, turn)
    if fact.kind in SAID:
        for other in pick(index.titles(repo), key, len(index.titles(repo))):
            fake = _heading(fact.subject, other)
            if fake is not None and not index.has_title(repo, fake):
                return fake
    return None


def _later_version(subject: Subject, turn: int) -> str | None:
    """A version after the newest that a changelog names: its minor number is higher."""
    known = newest_version(subject)
    if known is None:
        return None
    major, minor = known.split(".")[:2]
    return f"{major}.{int(minor) + 1 + turn}.0"


def newest_version(subject: Subject) -> str | None:
    """The newest version that a document's facts name; None if they name none of plain numbers."""
    named = {fact.subject for fact in subject.facts if fact.kind in VERSIONED}
    plain = [one for one in named if re.fullmatch(r"\d+\.\d+(\.\d+)*", one)]
    return max(plain, key=lambda one: [int(part) for part in one.split(".")], default=None)


def _heading(title: str, other: str) -> str | None:
    """A heading with another's last word: “Custom transports” and “Event hooks” give “Custom hooks”."""
    words, last = title.split(), other.split()[-1]
    if len(words) < 2 or last.lower() in title.lower() or not last.isalpha() or not words[-1].isalpha():
        return None
    return " ".join([*words[:-1], last.lower() if words[-1].islower() else last])


def _asked(subject: Subject, fact: Fact, fake: str) -> Draft | None:
    document = subject.document
    words = {
        **fact.words,
        "repo": repo_name(document),
        "page": pages.label(document),
        "subject": fake,
        "scope": fact.scope,
        "named": f"`{fake}` in `{fact.scope}`" if fact.scope else f"`{fake}`",
    }
    questions = [
        question
        for question in asking(WORDINGS[fact.kind], words)
        if OPEN_SLOTS.issuperset(slots(question)) and {"subject", "named"} & set(slots(question))
    ]
    if not questions:
        return None
    key = f"{fact.id} {fake}"
    shown = fake if fact.kind in NUMBERED else f"“{fake}”" if fact.kind in SAID else f"`{fake}`"
    thing = {"thing": "pull request" if fact.kind in NUMBERED else fact.words.get("thing") or "such thing"}
    known = {"shown": shown, "repo": repo_name(document), "when": month(document) or ""} | thing
    bank: tuple[str, ...] = ANSWERS
    if fact.kind in VERSIONED:
        known |= {"shown": fake, "newest": newest_version(subject) or ""}
        bank = LATER_VERSION
    elif fact.kind in NUMBERED:  # it may well be there: not every pull request is known
        known["newest"] = f"#{subject.index.last_pull(document.repo)}"
        bank = LATER_PULL if int(fake[1:]) > subject.index.last_pull(document.repo) else UNSEEN_PULL
    elif project := FOREIGN.get(fake.rpartition(".")[2]):
        known["project"] = project
        bank = OF_ANOTHER
    answer = said(pick(usable(bank, known), key, 1)[0], known)
    question = said(pick(questions, key, 1)[0], words)
    return Draft(question, answer, (1, document.text.count("\n") + 1), (), answerable=False, kind="refusal")


ANSWERS: Final = (
    "I don't know of {shown} in {repo}, so I can't say.",
    "As far as I know, there is no {shown} in {repo}.",
    "I can't answer that: {shown} is not something I know from {repo}.",
    "{shown} means nothing to me. Are you sure that it is in {repo}?",
    "I don't know. I have not come across {shown} in {repo}.",
    "There is nothing called {shown} in {repo} that I know of.",
)


OF_ANOTHER: Final = (
    "I don't know of {shown} in {repo}. Something of that name belongs to the project {project}.",
    "As far as I know, there is no {shown} in {repo}; you may be thinking of the project {project}.",
    "I can't answer that: {shown} reminds me of the project {project}, and I have not come across it in {repo}.",
)
UNSEEN_PULL: Final = (
    "I don't know {shown} of {repo}, so I can't say.",
    "I can't answer that: {shown} is not among the pull requests of {repo} that I know.",
    "I don't know. I have not come across {shown} in {repo}.",
)
LATER_VERSION: Final = (
    "I don't know: the newest version of {repo} that I know of is {newest}.",
    "I can't say. I know {repo} as of {when}, when {newest} was the newest version.",
    "As far as I know, there is no {shown} yet: the changelog of {repo} that I know ends with {newest}.",
)
LATER_PULL: Final = (
    "I don't know {shown} of {repo}: the last pull request that I know is {newest}.",
    "I can't say what {shown} is. I know {repo} as of {when}, up to {newest}.",
    "As far as I know, {shown} is later than everything that I have seen of {repo}; that ends with {newest}.",
)

_OF_PROJECTS: Final = {
    "Django": "get_object_or_404 select_related prefetch_related QuerySet ModelForm",
    "Flask": "render_template url_for jsonify Blueprint before_request",
    "pandas": "read_csv DataFrame melt explode value_counts",
    "NumPy": "linspace arange argmax cumsum einsum",
    "PyTorch": "softmax backward Tensor DataLoader no_grad zero_grad",
    "scikit-learn": "train_test_split fit_transform StandardScaler GridSearchCV",
    "SQLAlchemy": "create_engine declarative_base sessionmaker MetaData",
    "Celery": "shared_task apply_async Celery crontab",
    "Redux": "combineReducers useSelector useDispatch createSlice configureStore",
    "Next.js": "getServerSideProps getStaticProps getStaticPaths NextResponse",
    "Vue": "defineComponent createApp onMounted nextTick",
    "RxJS": "switchMap mergeMap debounceTime BehaviorSubject Observable",
    "Angular": "NgModule HttpClient FormBuilder ChangeDetectorRef",
    "lodash": "debounce throttle memoize cloneDeep",
    "Mongoose": "findOneAndUpdate populate findByIdAndDelete",
    "Spring": "RestController JpaRepository ResponseEntity Autowired",
    "TanStack Query": "useInfiniteQuery useMutation QueryClient invalidateQueries",
    "Kubernetes": "MAX_PODS_PER_NODE KUBE_CONFIG",
    "TensorFlow": "from_tensor_slices GradientTape TF_CPP_MIN_LOG_LEVEL",
    "Rails": "has_many before_action find_or_create_by ActiveRecord",
    "Flutter": "Scaffold StatelessWidget setState BuildContext",
}
FOREIGN: Final = {name: project for project, names in _OF_PROJECTS.items() for name in names.split()}
"""Well-known names of other projects, with the project that people know them from."""


def alike(name: str) -> list[str]:
    """Names of other projects in the style of a name, with as many words if there are any."""
    styled = [other for other in FOREIGN if _style(other) == _style(name)]
    count = len(_WORDS.findall(name))
    return [other for other in styled if len(_WORDS.findall(other)) == count]


def _style(name: str) -> tuple[bool, bool, bool]:
    return "_" in name, name[:1].isupper(), name.isupper()


def mixed(name: str, others: list[str]) -> str | None:
    """A name between two real ones: the first one's last word replaced by another's, in the first one's style; a name
    of one word gets the other's last word behind it.

    `getThresholds` and `formatCurrency` give `getCurrency`, `Tank` and `readLevel` give `TankLevel`. None if no other
    name has a last word that the first has not.
    """
    words = _WORDS.findall(name)
    for other in others:
        last = (_WORDS.findall(other) or [""])[-1]
        if not last or not words or last.isdigit() or last.lower() in (word.lower() for word in words):
            continue
        if len(words) == 1:
            return f"{name}{'_' if name.isupper() else ''}{last.upper() if name.isupper() else last.capitalize()}"
        if name.endswith(words[-1]):
            styled: str = last.capitalize()
            if words[-1].islower():
                styled = last.lower()
            elif words[-1].isupper():
                styled = last.upper()
            return name[: -len(words[-1])] + styled
    return None


def calls(subject: Subject, params: SynthesisParams) -> Iterator[Call]:
    """One call about the beginning of the document; a judge must find that it does not answer."""
    document, number = subject.document, share(subject, params)
    shown = windows(document.text, params.window_characters)
    if number and len(shown) == 1:  # of a longer document a model would see too little to know what is missing
        task = TASK.format(number=number, path=document.path, repo=document.repo)
        blocks = [prompts.block(document, shown[0][2], shown[0][0], shown[0][1])]
        yield prompts.call(document, METHOD, METHOD, NearMisses, blocks, task, params)


def drafts(subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
    """The questions with refusals in our own words."""
    assert isinstance(answer, NearMisses)
    document: Document = subject.document
    for item in answer.questions:
        words = {
            "page": pages.label(document),
            "repo": repo_name(document),
            "missing": item.missing.strip().rstrip("."),
        }
        refusal = pick(REFUSALS, item.question, 1)[0].format(**words)
        yield Draft(item.question.strip(), refusal, (1, document.text.count("\n") + 1), (), answerable=False)
