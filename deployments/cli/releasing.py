"""`rawtune release`: what was published, and making an earlier one the latest again."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Annotated

import typer

from deployments import console
from deployments.console import Json, StoreOption, open_store

release_app = typer.Typer(help="Published models: list, promote, roll back, forget.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(help="The preset's `name`.")]


@release_app.command("list")
def list_all(
    project: Annotated[str | None, typer.Argument(help="The preset's `name`; every project if left out.")] = None,
    store: StoreOption = None,
    json: Json = False,
) -> None:
    """Show the releases, the oldest first; one of them is the latest."""
    from tasks.release.registry import projects
    from tasks.release.releases import list_releases

    place = open_store(store)
    found = {name: list_releases(place, name) for name in ([project] if project else projects(place))}
    if json:
        document = {name: [one.model_dump(mode="json") for one in releases] for name, releases in found.items()}
        sys.stdout.write(jsonlib.dumps(document) + "\n")
        return
    for name, releases in found.items():
        for one in releases:
            recall = "recall not measured" if one.recall is None else f"recall {100 * one.recall:.0f}%"
            latest = "  [green]latest[/]" if one.latest else ""
            console.output.print(f"{name}  {one.revision}  {recall}  {one.location}{latest}", highlight=False)
    if not any(found.values()):
        console.output.print(f"no releases in {place.uri}", highlight=False)


@release_app.command()
def promote(
    project: Project,
    revision: Annotated[str, typer.Argument(help="A release as `list` names it; its beginning is enough.")],
    store: StoreOption = None,
) -> None:
    """Make a release the latest again."""
    from tasks.release.releases import promote_release

    release = promote_release(open_store(store), project, revision)
    console.output.print(f"latest: {release.revision}", highlight=False)


@release_app.command()
def rollback(project: Project, store: StoreOption = None) -> None:
    """Make the release before the latest one the latest again."""
    from tasks.release.releases import rollback_release

    release = rollback_release(open_store(store), project)
    console.output.print(f"latest: {release.revision}", highlight=False)


@release_app.command()
def forget(
    project: Project,
    keep: Annotated[int, typer.Option(min=1, help="How many of the last releases stay; the latest always does.")] = 6,
    store: StoreOption = None,
) -> None:
    """Forget old releases, here and on the Hub; `rawtune prune` frees what they used."""
    from tasks.release.releases import prune_releases

    for one in prune_releases(open_store(store), project, keep):
        console.output.print(f"forgotten: {one.revision}", highlight=False)
