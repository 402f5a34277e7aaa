"""What an account shared with strangers, a lying or broken API and wrong clocks can do to money and machines."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.lambda_cloud.boot import exports, start_script
from deployments.lambda_cloud.claim import Claim
from deployments.lambda_cloud.client import LambdaClient
from deployments.lambda_cloud.handover import hand_over
from deployments.lambda_cloud.provider import Offer, Order, Status, Unclear
from deployments.lambda_cloud.reaper import reap, rented
from deployments.lambda_cloud.rental import Ending, Stay, Watched, end, find_launched, watch
from deployments.lambda_cloud.wheel import Wheel
from tests.emulators.lambda_api import LambdaEmulator
from tests.emulators.lambda_api.api import Fault

pytestmark = pytest.mark.slow

LOG = logging.getLogger("tests")
API = "http://127.0.0.1:4200/api"
H100 = Offer("gpu_1x_h100_pcie", "us-east-1", 2.86)

STRANGE: list[Any] = [
    {},
    None,
    [],
    "machine",
    {"id": None, "status": "active"},
    {"id": "stranger-1", "status": "repairing", "region": None, "instance_type": None, "tags": None},
    {"id": "stranger-2", "status": ["active"], "region": "us-east-1", "instance_type": {"price_cents_per_hour": "286"}},
    {"id": "stranger-3", "status": "active", "tags": [None, {"key": "rawtune-pool"}, {"key": 1, "value": 2}]},
    {"id": "stranger-4", "name": "gpu-lambda-post", "status": "active", "tags": {"rawtune-pool": "gpu-lambda"}},
    {"id": "stranger-5", "status": "active", "instance_type": {"name": 3, "price_cents_per_hour": -1e308}},
]

NONSENSE = ["<html>Sign in</html>", "{}", "[]", "null", '{"data": null}', '{"data": 7}', "", "[" * 100_000, '{"data"']


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LambdaEmulator]:
    with LambdaEmulator(tmp_path / "machines", request_seconds=0, launch_seconds=0) as emulator:
        emulator.cloud.boot_seconds = emulator.cloud.stop_seconds = 0.1
        yield emulator


def client(cloud: LambdaEmulator, clock: Callable[[], float] = time.time) -> LambdaClient:
    return LambdaClient(cloud.url, cloud.key, request_seconds=0, launch_seconds=0, timeout=5, clock=clock)


def mark(now: float | None = None, hours: float = 1.0) -> Claim:
    return Claim.make("gpu-lambda", API, uuid.uuid4(), hours, 600, H100.usd_per_hour, now)


def order(claim: Claim) -> Order:
    script = "#!/bin/bash\nexec sleep 300\n"
    return Order(H100, "gpu-lambda-post", claim.tags(), "lambda-stack-24-04", "rawtune", (), script)


async def working() -> Watched:
    return Watched(is_final=False, has_started=True)


async def finished() -> Watched:
    return Watched(is_final=True, has_started=True)


def test_strangers_entries_of_every_odd_kind_hide_no_machine_of_ours_and_are_not_touched(cloud: LambdaEmulator):
    cloud.cloud.strangers = STRANGE
    late = Claim(**{**vars(mark()), "expires": int(time.time()) - 600})

    async def ask() -> None:
        lambda_api = client(cloud)
        overdue, current = [await lambda_api.launch(order(claim)) for claim in (late, mark())]
        listed = {machine.id: machine.status for machine in await lambda_api.list()}
        assert listed["stranger-1"] is listed["stranger-2"] is Status.UNKNOWN
        assert Status.UNKNOWN.is_paid
        assert not Status.UNKNOWN.is_lost
        assert {one.machine.id for one in await rented(lambda_api)} == {overdue, current}
        assert [one.machine.id for one in await reap(lambda_api)] == [overdue]
        (machine,) = [one for one in await lambda_api.list() if one.id == current]
        claim = Claim.read(machine.tags)
        assert claim is not None
        assert await watch(lambda_api, Stay(machine, claim), finished, 0.05, LOG) is Ending.FINISHED
        await end(lambda_api, current, LOG, waits=(0.1,))

    asyncio.run(ask())
    assert not cloud.cloud.live()
    asked = [path for _, path in cloud.requests if "stranger" in path]
    assert asked == []


@pytest.mark.parametrize("text", NONSENSE)
def test_answers_that_are_none_are_unclear_and_tried_again(cloud: LambdaEmulator, text: str):
    async def ask() -> None:
        lambda_api = client(cloud)
        claim = mark()
        cloud.plant(Fault("/launch", "page", text=text))
        with pytest.raises(Unclear):
            await lambda_api.launch(order(claim))
        cloud.plant(Fault("/instances", "lie", text=text))
        found = await find_launched(lambda_api, claim.launch)
        assert found is not None
        stay = Stay(found, claim)
        cloud.plant(Fault(f"/instances/{found.id}", "lie", times=3, text=text))
        looks = iter([await working(), await working(), await working(), await finished()])

        async def look() -> Watched:
            return next(looks)

        assert await watch(lambda_api, stay, look, 0.02, LOG) is Ending.FINISHED
        cloud.plant(Fault("/instance-types", "lie", text=text))
        with pytest.raises(Unclear):
            await lambda_api.offers()
        cloud.plant(Fault("/instances", "lie", times=2, text=text))
        assert [one.machine.id for one in await rented(lambda_api, waits=(0.01, 0.01))] == [found.id]
        cloud.plant(Fault(f"/instances/{found.id}", "lie", times=2, text=text))
        cloud.plant(Fault("/terminate", "lie", times=2, text=text))
        await end(lambda_api, found.id, LOG, waits=(0.05,))

    asyncio.run(ask())
    assert len(cloud.cloud.instances) == 1
    assert not cloud.cloud.live()


def test_terminations_that_are_acknowledged_and_not_done_are_asked_for_until_they_are(cloud: LambdaEmulator):
    async def ask() -> None:
        lambda_api = client(cloud)
        machine = await lambda_api.launch(order(mark()))
        cloud.plant(Fault("/terminate", "lie", times=4, text='{"data": {"terminated_instances": []}}'))
        await end(lambda_api, machine, LOG, waits=(0.05,))

    asyncio.run(ask())
    assert cloud.count("/terminate") >= 5
    assert not cloud.cloud.live()


@pytest.mark.parametrize("hours_ahead", [-2, -1, 1, 2, 24 * 365])
def test_wrong_clock_of_worker_or_reaper_neither_ends_nor_keeps_a_machine(cloud: LambdaEmulator, hours_ahead: float):
    def wrong() -> float:
        return time.time() + 3600 * hours_ahead

    async def ask() -> tuple[str, str]:
        worker, reaper = client(cloud, wrong), client(cloud, wrong)
        await worker.offers()
        assert abs(worker.now() - time.time()) < 2
        claim = mark(worker.now())
        assert abs(claim.expires - time.time() - 3600) < 3
        current = await worker.launch(order(claim))
        overdue = await worker.launch(order(mark(worker.now() - 3600 - 300)))
        assert [one.machine.id for one in await reap(reaper)] == [overdue]
        return current, overdue

    current, _ = asyncio.run(ask())
    assert [instance.id for instance in cloud.cloud.live()] == [current]


def test_price_that_rises_after_the_offer_shortens_the_stay_and_is_what_is_told(cloud: LambdaEmulator):
    async def ask() -> None:
        lambda_api = client(cloud)
        offers = {offer.machine_type: offer for offer in await lambda_api.offers()}
        assert offers[H100.machine_type] == H100
        cloud.cloud.prices[H100.machine_type] = 4 * 286
        claim = mark(lambda_api.now() - 1000)  # at 2.86 its hour has 2,600 s to go; at four times that none
        machine = await lambda_api.launch(order(claim))
        found = await lambda_api.look(machine)
        assert found is not None
        stay = Stay(found, claim)
        assert abs(stay.expires - (claim.launched + 900)) < 1
        assert await watch(lambda_api, stay, working, 0.02, LOG) is Ending.EXPIRED
        await end(lambda_api, machine, LOG, waits=(0.1,))
        assert stay.usd(stay.claim.launched + 60) == pytest.approx(4 * 2.86 / 60)

    asyncio.run(ask())


def test_money_told_covers_the_bill_and_leaves_the_boot_out(cloud: LambdaEmulator):
    cloud.cloud.boot_seconds = 1.5

    async def ask() -> float:
        lambda_api = client(cloud)
        await lambda_api.offers()
        claim = mark(lambda_api.now() - 300)  # a boot of five minutes
        found = await lambda_api.look(await lambda_api.launch(order(claim)))
        assert found is not None
        stay = Stay(found, claim)
        over = time.monotonic() + 3

        async def look() -> Watched:
            return Watched(is_final=time.monotonic() > over, has_started=True)

        await watch(lambda_api, stay, look, 0.1, LOG)
        await end(lambda_api, found.id, LOG, waits=(0.1,))
        return stay.usd(lambda_api.now())

    told = asyncio.run(ask())
    assert cloud.cloud.usd() <= told <= cloud.cloud.usd() + 0.01


def test_user_data_holds_no_secret_and_the_machine_gets_them_all(s3_bucket: str, tmp_path: Path):
    hostile = "a'b\"c$(touch pwned)`touch pwned`\nd"
    secrets = {"PREFECT_API_AUTH_STRING": "admin:master-password", "AWS_SECRET_ACCESS_KEY": "hush", "HF_TOKEN": hostile}
    address = f"{s3_bucket}/attack/wheels/{'ab' * 32}/rawtune-0.1.0-py3-none-any.whl"
    handed = hand_over(address, uuid.uuid4().hex, exports(secrets))
    wheel = Wheel("rawtune-0.1.0-py3-none-any.whl", "ab" * 32, "https://example.org/w?sig=a&b='c'")
    script = start_script(handed, wheel, "torch==2.13.0\n", "/opt/rawtune")
    stored = handed.path.read_bytes()
    for secret in ("master-password", "hush", "touch pwned"):
        assert secret not in script
        assert secret.encode() not in stored
        assert secret not in repr(handed)
    (tmp_path / "user-data").write_text(script, "utf-8")
    assert subprocess.run(["bash", "-n", str(tmp_path / "user-data")], check=False).returncode == 0
    head, opened, _ = script.partition("unset HANDOVER_URL HANDOVER_KEY\n")
    names = json.dumps([*secrets, "HANDOVER_KEY"])
    tell = f"import json, os; print('told:' + json.dumps([os.environ.get(name) for name in {names}]))"
    check = subprocess.run(
        ["bash", "-c", f'{head}{opened}cat "$CONSTRAINTS"; echo "$WHEEL_URL"; python3 - <<"END"\n{tell}\nEND\n'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=True,
    )
    assert "torch==2.13.0" in check.stdout
    assert wheel.url in check.stdout
    assert json.loads(check.stdout.partition("told:")[2]) == [*secrets.values(), None]
    assert not list(tmp_path.rglob("pwned"))
    handed.withdraw()
    handed.withdraw()
    gone = subprocess.run(["curl", "--fail", "--silent", handed.url], capture_output=True, check=False)
    assert gone.returncode != 0
