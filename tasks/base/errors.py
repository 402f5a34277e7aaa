"""The error tree.

RawtuneError                exit 1, one line
├── InputError              exit 2: what the user gave is wrong; names the field, file or object and the remedy
├── SourceError             a repository, GitHub or a wiki could not be read
├── RecordError             too many records of a step are unusable
├── StoreError              the artifact store cannot be read or written
├── LeakError               an evaluation item is contained in the training set
├── BudgetError             the next action could exceed a stated budget
├── TrainingError           training cannot go on
├── Pruned                  a trial was ended early because others do better
├── ChildError              a torch child process failed
├── ReleaseError            a release could not be made, published or verified
└── GateRefused             exit 3: the gate refused the release
"""


def printable(text: str) -> str:
    """Makes others' text safe for a terminal or page: no escapes, no bidirectional override.

    What is not printable by Unicode (categories C and Z but the space) becomes U+FFFD, but line breaks and tabs stay.
    """
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


class RawtuneError(Exception):
    """Root of every error that rawtune raises on purpose; its text is one line for a person.

    Names of files, branches, authors and servers' own words end up in it, so it is `printable`.
    """

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(RawtuneError):
    """What the user gave is wrong: a parameter, a path, a repository name, a permission."""

    exit_code = 2


class SourceError(RawtuneError):
    """A source could not be read although the parameters are well formed."""


class RecordError(RawtuneError):
    """More records of a step were quarantined than its limit allows."""


class StoreError(RawtuneError):
    """The artifact store cannot be read or written."""


class LeakError(RawtuneError):
    """An evaluation item is contained in the training set and the parameters ask to fail then."""


class BudgetError(RawtuneError):
    """The next action could exceed a stated budget."""


class TrainingError(RawtuneError):
    """Training cannot go on: loss is not finite, or nothing is left to train on."""


class Pruned(RawtuneError):
    """A search ended a trial early because others do better: no failure, and no artifact."""


class ChildError(RawtuneError):
    """A torch child process ended without an answer."""


class ReleaseError(RawtuneError):
    """A release could not be made, published or verified; what was the latest before still is."""


class GateRefused(RawtuneError):
    """The gate refused the release; the message carries its reasons."""

    exit_code = 3
