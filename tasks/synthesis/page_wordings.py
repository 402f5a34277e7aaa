"""Wordings of questions about pages, for the template provider. Each bank asks for one kind of fact.

Several wordings of one fact taught a small model what one did not (69% against 21% of paraphrased questions right).
"""

from __future__ import annotations

from typing import Final

Bank = tuple[str, ...]

SECTION: Final[Bank] = (
    "What does the {page} page of `{repo}` say about {title}?",
    "In the documentation of `{repo}`, what is written under “{title}” on the {page} page?",
    "What should I know about {title} in `{repo}`, going by {page}?",
    "Tell me what {page} in `{repo}` explains under the heading “{title}”.",
    "I'm reading about {title} in `{repo}`. What does {page} tell me?",
    "Quote the “{title}” section of {page} in `{repo}`.",
    "What information does `{repo}` document about {title} in {page}?",
    "Under “{title}”, what does {page} from `{repo}` state?",
)
SUBJECT: Final[Bank] = (
    "According to the {page} page of `{repo}`, what is {subject}?",
    "What is {subject} in the context of `{repo}`?",
    "How does {page} in `{repo}` describe {subject}?",
    "In `{repo}`, what does the documentation ({page}) say about {subject}?",
    "Can you explain {subject} as documented in {page} of `{repo}`?",
    "Someone working on `{repo}` asks about {subject}. What does {page} answer?",
)
LIST: Final[Bank] = (
    "Which points does {page} of `{repo}` list under “{title}”?",
    "What are the items listed under “{title}” on the {page} page of `{repo}`?",
    "In `{repo}`, {page} has a list under “{title}”. What is on it?",
    "List what {page} in `{repo}` enumerates in its section “{title}”.",
    "Give me the bullet points of the “{title}” section in {page} of `{repo}`.",
)
CODE: Final[Bank] = (
    "Which code or commands does {page} of `{repo}` show under “{title}”?",
    "What is the snippet in the “{title}” section of {page} in `{repo}`?",
    "Show me the example given under “{title}” in {page} of `{repo}`.",
    "In `{repo}`, what is to be typed or written according to “{title}” in {page}?",
    "What does the code block under “{title}” on the {page} page of `{repo}` contain?",
)
LINK: Final[Bank] = (
    "Where does the link “{label}” on the {page} page of `{repo}` lead?",
    "Which URL does {page} in `{repo}` give for “{label}”?",
    "In the documentation of `{repo}`, what is the address behind “{label}” in {page}?",
    "I need the link for “{label}” that is mentioned in {page} of `{repo}`.",
    "What web address is “{label}” linked to in {page}, part of `{repo}`?",
)
LINK_ANSWER: Final[Bank] = (
    "{url}",
    "{url} is where “{label}” links to in {page}.",
    "{url}: {page} links “{label}” to it.",
    "The address is {url}.",
)
OUTLINE: Final[Bank] = (
    "Which sections does the {page} page of `{repo}` have?",
    "What topics does {page} in `{repo}` cover?",
    "Give me the outline of {page} from `{repo}`.",
    "What are the headings of {page} in the `{repo}` repository?",
    "How is {page} of `{repo}` organised?",
)
WHERE: Final[Bank] = (
    "Which page of `{repo}` documents “{title}”?",
    "Where in the documentation of `{repo}` can I read about “{title}”?",
    "I'm looking for the section “{title}” in `{repo}`. Which page has it?",
    "On which page of `{repo}` is there a heading “{title}”?",
    "Which document in `{repo}` has a section called “{title}”?",
)
WHERE_ANSWER: Final[Bank] = (
    "{page}",
    "{page} has the section “{title}”.",
    "That is in {page}.",
    "{page}: “{title}” is one of its sections.",
)
PAGE: Final[Bank] = (
    "Walk me through {topic} in `{repo}`, the way {page} does.",
    "Explain {topic} in `{repo}` as the page {page} documents it.",
    "Give me the full documentation of `{repo}` on {topic} ({page}).",
    "Show me the page {page} of `{repo}`, the one about {topic}.",
    "What is the complete content of {page} in `{repo}` ({topic})?",
    "Take me through the whole {page} page of `{repo}` about {topic}.",
)
PAGE_PART: Final[Bank] = (
    "Walk me through “{title}” in {page} of `{repo}`.",
    "Explain “{title}” as {page} of `{repo}` documents it.",
    "Give me the whole section “{title}” of {page} in `{repo}`.",
    "Take me through the part “{title}” of the {page} page in `{repo}`.",
)
