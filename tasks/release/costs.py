"""What a release cost and what its data came to, from the ledger and the manifests behind it.

The ledger's entries are found by the keys of the artifacts, so a run that takes its dialogues from the cache still
states what they cost when they were made; bytes that were made under several keys cost what all of them did. Nothing
of this is part of a key: the card bears the cost as it stood when the release folder was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tasks.base.artifacts import Manifest
from tasks.base.ledger import read_entries, runs
from tasks.base.store import Store
from tasks.release.params import CostFacts

DIALOGUES: Final = "synthesis/dialogues"

COUNTED: Final = {
    "files": ("harvest/snapshot", "records"),
    "pull_requests": ("harvest/pulls", "records"),
    "wiki_pages": ("harvest/wiki", "records"),
    "documents_kept": ("corpus/split", "documents"),
    "documents_held_out": ("corpus/split", "held_out"),
    "places_redacted": ("corpus/redact", "verdict:redacted-"),
    "generated_dialogues": (DIALOGUES, "records"),
    "training_rows": ("mixture/assemble", "rows"),
}
"""Row of the card → step and name of its count; a name that ends with a hyphen sums all counts that begin so."""


class Ledgers:
    """The entries of all runs' ledgers that concern some artifacts.

    Args:
        store: holds the ledgers.
        made: manifests of the artifacts.
    """

    def __init__(self, store: Store, made: Sequence[Manifest]) -> None:
        self._keys = {(manifest.step, manifest.key) for manifest in made}
        self.spend = self._of(store, "spend")
        self.training = self._of(store, "training")
        self.evaluation = self._of(store, "evaluation")

    def cost(self) -> CostFacts | None:
        """What is known to have been spent; None if the ledgers know nothing of these artifacts."""
        if not (self.spend or self.training or self.evaluation):
            return None
        return CostFacts(
            api_usd=self._usd(self.spend),
            unpriced_requests=sum(entry["requests"] for entry in self.spend if entry["usd"] is None),
            gpu_usd=self._usd(self.training),
            training_seconds=sum(entry["seconds"] for entry in self.training),
            answering_seconds=sum(sum(entry["seconds"].values()) for entry in self.evaluation),  # by phase
        )

    def exceeded(self, synthesis_usd: float, training_usd: float | None) -> tuple[str, ...]:
        """Which stated budget was not kept, to the cent; none if all were.

        Args:
            synthesis_usd: cap of the dialogues.
            training_usd: cap of the training; None = no limit.
        """
        dialogues = [entry for entry in self.spend if entry["step"] == DIALOGUES]
        caps = (
            ("synthesis.budget_usd", self._most_usd(dialogues), synthesis_usd),
            ("training.max_usd", self._most_usd(self.training), training_usd),
        )
        return tuple(
            f"{name}: ${usd:.2f} spent of ${cap:.2f}"
            for name, usd, cap in caps
            if cap is not None and usd > cap + 0.005
        )

    def _of(self, store: Store, topic: str) -> list[dict[str, Any]]:
        entries = (entry for run in runs(store) for entry in read_entries(store, run, topic))
        return [entry for entry in entries if (entry["step"], entry["key"]) in self._keys]

    def _most_usd(self, entries: list[dict[str, Any]]) -> float:
        """A budget is one key's; the same bytes may have been made under several."""
        by_key: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            by_key.setdefault(entry["key"], []).append(entry)
        return max((self._usd(one) for one in by_key.values()), default=0.0)

    @staticmethod
    def _usd(entries: list[dict[str, Any]]) -> float:
        return float(sum(entry["usd"] for entry in entries if entry["usd"] is not None))


def data_counts(made: Sequence[Manifest]) -> dict[str, int]:
    """Counts of the data for the card, in reading order; what the release was not made from is left out."""
    firsts = {(manifest.step, manifest.sha256): manifest for manifest in reversed(made)}
    found: dict[str, int] = {}
    for row, (step, name) in COUNTED.items():
        counts = [manifest.counts for (made_by, _), manifest in firsts.items() if made_by == step]
        if counts:
            found[row] = sum(
                number
                for one in counts
                for counted, number in one.items()
                if counted == name or (name.endswith("-") and counted.startswith(name))
            )
    return found
