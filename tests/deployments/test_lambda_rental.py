"""A rental against the emulated API, without Prefect: offers, launches, lost answers, watching, ending, reaping."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from deployments.cli.gpu import gpu_app
from deployments.lambda_cloud.claim import Claim
from deployments.lambda_cloud.client import LambdaClient
from deployments.lambda_cloud.job import LambdaVariables
from deployments.lambda_cloud.provider import Machine, NoCapacity, Offer, Order, Refused, Status, Unclear
from deployments.lambda_cloud.reaper import reap, rented
from deployments.lambda_cloud.rental import Ending, Stay, Watched, choose, cost_usd, end, find_launched, watch
from tests.emulators.lambda_api import LambdaEmulator
from tests.emulators.lambda_api.api import INSUFFICIENT, Fault

LOG = logging.getLogger("tests")
API = "http://127.0.0.1:4200/api"
H100 = Offer("gpu_1x_h100_pcie", "us-east-1", 2.86)
PATTERNS = LambdaVariables().machine_types


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LambdaEmulator]:
    with LambdaEmulator(tmp_path / "machines", request_seconds=0, launch_seconds=0) as emulator:
        emulator.cloud.boot_seconds = emulator.cloud.stop_seconds = 0.1
        yield emulator


def client(cloud: LambdaEmulator, timeout: float = 20.0) -> LambdaClient:
    return LambdaClient(cloud.url, cloud.key, request_seconds=0, launch_seconds=0, timeout=timeout)


def claim(hours: float = 1.0, boot_seconds: float = 600) -> Claim:
    return Claim.make("gpu-lambda", API, uuid.uuid4(), hours, boot_seconds)


def order(mark: Claim, offer: Offer = H100, script: str = "#!/bin/bash\nexec sleep 300\n") -> Order:
    return Order(offer, "gpu-lambda-post", mark.tags(), "lambda-stack-24-04", "rawtune", (), script)


def stay(machine: str, hours: float = 1.0, boot_seconds: float = 600) -> Stay:
    mark = claim(hours, boot_seconds)
    return Stay(Machine(machine, "", Status.BOOTING, H100.machine_type, H100.region, 2.86, mark.tags()), mark)


async def running() -> Watched:
    return Watched(is_final=False, has_started=True)


def test_offers_are_taken_by_preference_then_price():
    offers = [
        Offer("gpu_1x_a100_sxm4", "us-east-1", 1.48),
        Offer("gpu_1x_h100_sxm5", "us-west-1", 3.78),
        Offer("gpu_8x_h100_sxm5", "us-west-1", 28.70),
        H100,
        Offer("gpu_1x_h100_pcie", "europe-central-1", 2.86),
    ]
    found = [(offer.machine_type, offer.region) for offer in choose(offers, PATTERNS, [])]
    assert found == [
        ("gpu_1x_h100_pcie", "europe-central-1"),
        ("gpu_1x_h100_pcie", "us-east-1"),
        ("gpu_1x_h100_sxm5", "us-west-1"),
        ("gpu_1x_a100_sxm4", "us-east-1"),
    ]
    assert [offer.region for offer in choose(offers, PATTERNS, ["us-west-1"])] == ["us-west-1"]


@given(st.floats(0.01, 200), st.integers(0, 10**9))
def test_claim_survives_the_tags_and_keeps_to_their_rules(hours: float, boot_seconds: int):
    mark = claim(hours, boot_seconds)
    tags = mark.tags()
    assert Claim.read(tags) == mark
    assert mark.launched <= mark.boot_by <= mark.expires
    assert all(len(key) <= 55 and len(value) <= 128 for key, value in tags.items())


@pytest.mark.parametrize("missing", ["rawtune-pool", "rawtune-run", "rawtune-expires", "rawtune-launch"])
def test_claim_that_lacks_a_tag_is_none(missing: str):
    assert Claim.read({key: value for key, value in claim().tags().items() if key != missing}) is None
    assert Claim.read(claim().tags() | {missing: "?"}) is None or missing in ("rawtune-pool", "rawtune-launch")


@given(st.floats(0.1, 50), st.floats(0, 10**5))
def test_cost_is_never_below_the_exact_price_and_at_most_a_minute_above(price: float, seconds: float):
    exact, half_a_millisecond = price * seconds / 3600, price * 0.0005 / 3600
    assert exact - half_a_millisecond - 1e-9 <= cost_usd(price, seconds) <= exact + price / 60 + 1e-9


def test_client_lists_offers_and_keeps_to_the_rate(cloud: LambdaEmulator):
    async def ask() -> float:
        lambda_api = LambdaClient(cloud.url, cloud.key)
        started = time.monotonic()
        offers = [await lambda_api.offers() for _ in range(3)]
        assert {offer.machine_type: offer.usd_per_hour for offer in offers[0]}["gpu_1x_h100_pcie"] == 2.86
        return time.monotonic() - started

    assert asyncio.run(ask()) >= 2.0


def test_launch_errors_are_told_apart(cloud: LambdaEmulator):
    async def ask() -> None:
        with pytest.raises(NoCapacity, match="insufficient-capacity"):
            await client(cloud).launch(order(claim(), Offer("gpu_1x_h100_pcie", "us-west-1", 2.86)))
        with pytest.raises(Refused, match="invalid-parameters"):
            await client(cloud).launch(order(claim(), Offer("gpu_1x_quantum", "us-east-1", 2.86)))
        cloud.plant(Fault("/launch", status=500))
        with pytest.raises(Unclear, match="internal-error"):
            await client(cloud).launch(order(claim()))
        with pytest.raises(Refused, match="invalid-api-key"):
            await LambdaClient(cloud.url, "wrong").offers()
        cloud.cloud.quota = 0
        with pytest.raises(Refused, match="quota-exceeded"):
            await client(cloud).launch(order(claim()))

    asyncio.run(ask())
    assert not cloud.cloud.instances


@pytest.mark.parametrize("fault", [Fault("/launch", "lost"), Fault("/launch", "hang", seconds=5)])
def test_launch_without_an_answer_is_found_by_its_tag_and_not_repeated(cloud: LambdaEmulator, fault: Fault):
    async def ask() -> None:
        mark = claim()
        cloud.plant(fault)
        with pytest.raises(Unclear):
            await client(cloud, timeout=1).launch(order(mark))
        found = await find_launched(client(cloud), mark.launch)
        assert found is not None
        assert Claim.read(found.tags) == mark
        assert await find_launched(client(cloud), "no such launch", seconds=0) is None
        await end(client(cloud), found.id, LOG)

    asyncio.run(ask())
    assert len(cloud.cloud.instances) == 1
    assert not cloud.cloud.live()


def test_terminate_that_fails_three_times_still_ends_the_machine(cloud: LambdaEmulator):
    async def ask() -> None:
        lambda_api = client(cloud)
        machine = await lambda_api.launch(order(claim()))
        cloud.plant(Fault("/terminate", times=3))
        await end(lambda_api, machine, LOG, waits=(0.1,))

    asyncio.run(ask())
    assert not cloud.cloud.live()
    assert cloud.count("/terminate") >= 4


def test_watch_ends_for_each_reason_and_not_for_a_failed_look(cloud: LambdaEmulator):
    looks = iter([ConnectionError("server restarts"), Watched(False, True), Watched(True, True)])

    async def look() -> Watched:
        one = next(looks)
        if isinstance(one, Exception):
            raise one
        return one

    async def booting() -> Watched:
        return Watched(is_final=False, has_started=False)

    async def ask() -> None:
        lambda_api = client(cloud)
        machine = await lambda_api.launch(order(claim()))
        cloud.plant(Fault("/instances", times=2))
        assert await watch(lambda_api, stay(machine), look, 0.05, LOG) is Ending.FINISHED
        assert await watch(lambda_api, stay(machine, hours=0), running, 0.05, LOG) is Ending.EXPIRED
        assert await watch(lambda_api, stay(machine, boot_seconds=-1), booting, 0.05, LOG) is Ending.NOT_STARTED
        cloud.cloud.lose(cloud.cloud.instances[machine])
        found = await lambda_api.look(machine)
        assert found is not None
        assert found.status is Status.UNHEALTHY
        assert await watch(lambda_api, stay(machine), running, 0.05, LOG) is Ending.LOST
        await end(lambda_api, machine, LOG)
        assert await watch(lambda_api, stay(machine), running, 0.05, LOG) is Ending.LOST

    asyncio.run(ask())
    assert not cloud.cloud.live()


def test_reaper_takes_overdue_machines_of_ours_and_no_others(cloud: LambdaEmulator, monkeypatch: pytest.MonkeyPatch):
    late = Claim(**{**vars(claim()), "launched": 1, "boot_by": 2, "expires": int(time.time()) - 600})
    late_elsewhere = Claim(**{**vars(late), "pool": "other", "launch": "x"})

    async def launch_all() -> list[str]:
        lambda_api = client(cloud)
        foreign = Order(H100, "somebody's", {"rawtune-pool": "gpu-lambda"}, "lambda-stack-24-04", "rawtune")
        orders = [order(late), order(claim()), order(late_elsewhere), foreign]
        return [await lambda_api.launch(one) for one in orders]

    overdue, current, elsewhere, foreign = asyncio.run(launch_all())
    assert [one.machine.id for one in asyncio.run(reap(client(cloud), "gpu-lambda"))] == [overdue]
    assert {instance.id for instance in cloud.cloud.live()} == {current, elsewhere, foreign}
    assert {one.machine.id for one in asyncio.run(rented(client(cloud)))} == {current, elsewhere}

    monkeypatch.setenv("LAMBDA_API_URL", cloud.url)
    monkeypatch.setenv("LAMBDA_API_KEY", cloud.key)
    listed = CliRunner().invoke(gpu_app, ["list", "--json"])
    assert [row["overdue"] for row in json.loads(listed.stdout)["machines"]] == [True, False]
    assert current in CliRunner().invoke(gpu_app, ["list"], terminal_width=200).stdout.replace("\n", "")
    everything = CliRunner().invoke(gpu_app, ["reap", "--all", "--pool", "gpu-lambda", "--json"])
    assert everything.exit_code == 0, everything.output
    assert {instance.id for instance in cloud.cloud.live()} == {elsewhere, foreign}
    asyncio.run(reap(client(cloud), everything=True))
    assert {instance.id for instance in cloud.cloud.live()} == {foreign}


def test_capacity_error_code_is_the_apis():
    assert INSUFFICIENT == "instance-operations/launch/insufficient-capacity"
