"""The phase before the first step, never cached: what the sources are at the run's date.

What it finds becomes parameters of the steps, so that they depend on commits and not on the clock.
"""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.runtime import flow_run

from flows.params import RetrainParams
from tasks.base.artifacts import Artifact
from tasks.base.params import Params
from tasks.base.store import Store
from tasks.evaluation.judge import check_judge
from tasks.harvest.params import ResolvedSource
from tasks.harvest.resolve import check_names, resolve_source
from tasks.release.gguf_job import check_tools
from tasks.release.hub import HubAccess
from tasks.release.params import ReleaseFacts, SourceFacts
from tasks.release.releases import resolve_release
from tasks.synthesis.feedback import FeedbackParams, find_feedback
from tasks.synthesis.review import latest_corrections


class Resolved(Params):
    """What a run's sources came to."""

    scheduled: str
    """The run's scheduled start, RFC 3339: what `as_of: null` stands for, so that a late run gives the same answer."""
    sources: tuple[ResolvedSource, ...]
    """One per source of the parameters, in their order."""
    corrections: Artifact | None = None
    """What people have changed in dialogues, as far as this store has imported it; null = nothing."""
    feedback: FeedbackParams | None = None
    """Votes of the chat that are trained on; null = none."""
    hub: HubAccess | None = None
    """Where the release goes and that the token may write there; null = a release in the store only."""


def resolve(store: Store, params: RetrainParams, scheduled: datetime) -> Resolved:
    """Finds the commits, pull requests and wiki of every source, and the latest release to compare with.

    Raises:
        InputError: a repository, date or permission is wrong; nothing has been spent by then.
    """
    check_names(params.sources)
    if params.evaluation.judge is not None:
        generator = params.synthesis.model if params.synthesis.by("openai") else None
        check_judge(params.evaluation.judge, generator)
    if params.release.gguf:
        check_tools()
    votes = find_feedback(params.synthesis.feedback)
    hub = resolve_release(store, params.name, params.release)
    sources = tuple(resolve_source(source, params.servers, scheduled, store) for source in params.sources)
    return Resolved(
        scheduled=scheduled.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        sources=sources,
        corrections=latest_corrections(store),
        feedback=votes,
        hub=hub,
    )


def scheduled_start() -> datetime:
    """When the surrounding flow run was to start; now, outside a flow run."""
    return flow_run.scheduled_start_time or datetime.now(UTC)


def headline(params: RetrainParams, resolved: Resolved) -> str:
    """What a report is about: project, every source's date and commit, base model."""
    sources = [f"{one.snapshot.repo} @ {_day_and_commit(one)}" for one in resolved.sources]
    return " · ".join([params.name, *sources, params.training.public_name])


def run_name(project: str, resolved: Resolved) -> str:
    """`project @ date commit`, after the first source."""
    first, *others = resolved.sources
    return f"{project} @ {_day_and_commit(first)}" + (f" +{len(others)}" if others else "")


def _day_and_commit(source: ResolvedSource) -> str:
    return f"{source.snapshot.committed_at[:10]} {source.snapshot.revision[:7]}"


def release_facts(params: RetrainParams, resolved: Resolved) -> ReleaseFacts:
    """What the model card says about the run, under public names, without a path of this machine."""
    document = params.identity()
    for source, facts in zip(document["sources"], resolved.sources, strict=True):
        source["repo"] = facts.snapshot.repo
    return ReleaseFacts(
        name=params.name,
        base_model=params.training.public_name,
        base_revision=params.training.revision,
        sources=tuple(
            SourceFacts(
                repo=facts.snapshot.repo, revision=facts.snapshot.revision, committed_at=facts.snapshot.committed_at
            )
            for facts in resolved.sources
        ),
        recipe=document["training"],
        params=document,
    )
