"""Fixtures that every room's tests share. What takes seconds to make is made once and kept below the repository's
ignored .rawtune/ folder.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.locks import flock
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.model.base_model import stub_gguf
from tasks.model.child import run_child


def pytest_configure(config: pytest.Config) -> None:
    """One thread each for the two processes of `make test` and `make test-slow`, and for the models of the fast tests,
    which are tiny. With one thread each two torch jobs do not slow each other down, so that either process has a lock
    of its own. (With two threads each, both took five times the CPU seconds.)
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None or config.option.markexpr == "not slow":
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if worker is not None:
        own = Path(tempfile.gettempdir()) / f"rawtune-{worker}"  # a socket's path has room for 107 bytes only
        own.mkdir(exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(own)


CACHE = Path(__file__).resolve().parents[1] / ".rawtune" / "fixtures"
EDITION = "2"
"""Changed by hand when the making of a fixture changes."""

TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}


def _made_once(name: str, make: Callable[[Path], object]) -> Path:
    target = CACHE / f"{name}-{EDITION}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with flock(CACHE / f"{name}.lock"):
        if not target.exists():
            partial = CACHE / f"{name}.{uuid.uuid4().hex[:8]}"
            partial.mkdir()
            try:
                make(partial)
                partial.rename(target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return target


@step("tests/folder", "1")
def _folder(run: StepRun, path: str) -> None:
    shutil.copytree(path, run.folder, dirs_exist_ok=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A local store of this test's own."""
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def tokenizer_folder() -> Path:
    """The stub's tokenizer.json, tokenizer_config.json and chat_template.jinja, without weights."""
    return _made_once(
        "tokenizer",
        lambda target: run_child(
            "tasks.model.convert:tokenizer_from_gguf", {"gguf": str(stub_gguf()), "target": str(target)}
        ),
    )


def _random_llama(name: str, tokenizer: Path, config: dict[str, Any]) -> Path:
    request = {"tokenizer": str(tokenizer), "seed": 0, "config": config}
    return _made_once(
        name, lambda target: run_child("tasks.model.convert:random_llama", request | {"target": str(target)})
    )


@pytest.fixture(scope="session")
def tiny_model(tokenizer_folder: Path) -> Path:
    """Folder of a random two-layer Llama (3.2 M parameters) with the stub's tokenizer and chat template."""
    return _random_llama("tiny-model", tokenizer_folder, TINY)


@pytest.fixture(scope="session")
def untied_model(tokenizer_folder: Path) -> Path:
    """As `tiny_model`, with an output layer of its own, as Mistral has."""
    return _random_llama("untied-model", tokenizer_folder, TINY | {"tie_word_embeddings": False})


@pytest.fixture(scope="session")
def stub_model(tokenizer_folder: Path) -> Path:
    """Folder of the stub, SmolLM2-135M-Instruct, dequantised."""
    return _made_once(
        "stub-model",
        lambda target: run_child(
            "tasks.model.convert:stub_from_gguf", {"gguf": str(stub_gguf()), "target": str(target)}
        ),
    )


@pytest.fixture
def tokenizer_artifact(store: Store, tokenizer_folder: Path) -> Artifact:
    """`tokenizer_folder` as an artifact of `store`, for steps that read no more of a model."""
    return _folder.direct(store, path=str(tokenizer_folder))


@pytest.fixture
def tiny_model_artifact(store: Store, tiny_model: Path) -> Artifact:
    """`tiny_model` as an artifact of `store`."""
    return _folder.direct(store, path=str(tiny_model))


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[str]:
    """`s3://` address of a bucket on moto's own server, reached by s3fs and botocore through their usual settings."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            environment.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="rawtune-tests")
        yield "s3://rawtune-tests"
    server.stop()


@pytest.fixture(scope="session")
def prefect_harness() -> Iterator[None]:
    """One Prefect server with an empty database for the whole session; heartbeats off, which cost a second per flow."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield
