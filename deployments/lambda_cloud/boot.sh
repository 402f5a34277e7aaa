# What a rented machine does at its first boot. `boot.py` puts the assignments of its variables and the pins before it.
# What is secret is fetched from the store, from an address that soon works no more (see handover.py).
# It runs the flow run under a hard time limit and says on the Prefect server what it is doing; nothing in it stops
# the machine, because only the provider's API ends the bill.
set -euo pipefail
export HOME="${HOME:-/root}" PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORK="$(mktemp -d)"
cd "$WORK"
exec > >(tee -a "$WORK/boot.log") 2>&1

curl --fail --silent --show-error --location --retry 5 --retry-all-errors --output handover "$HANDOVER_URL"
echo "$HANDOVER_SHA256  handover" | sha256sum --check --quiet
source <(openssl enc -d -aes-256-ctr -K "$HANDOVER_KEY" -iv 00000000000000000000000000000000 -in handover)
rm handover
unset HANDOVER_URL HANDOVER_KEY

# tell log TEXT: a log line of the flow run. tell failed NAME TEXT: its end as Failed under that name, whatever it is now.
# tell crashed TEXT: its end as Crashed if it is still thought to be at work.
tell() {
  python3 - "$@" <<'PYTHON' || true
import base64, datetime, json, os, sys, urllib.request
kind, *words = sys.argv[1:]
api, run = os.environ["PREFECT_API_URL"].rstrip("/"), os.environ["PREFECT__FLOW_RUN_ID"]

def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(api + path, data, {"Content-Type": "application/json"})
    if os.environ.get("PREFECT_API_KEY"):
        request.add_header("Authorization", "Bearer " + os.environ["PREFECT_API_KEY"])
    elif os.environ.get("PREFECT_API_AUTH_STRING"):
        password = base64.b64encode(os.environ["PREFECT_API_AUTH_STRING"].encode()).decode()
        request.add_header("Authorization", "Basic " + password)
    return json.loads(urllib.request.urlopen(request, timeout=30).read() or "null")

if kind == "log":
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    ask("/logs/", [{"name": "boot", "level": 20, "message": words[0], "timestamp": now, "flow_run_id": run}])
elif kind == "failed" or ask(f"/flow_runs/{run}")["state"]["type"] in ("PENDING", "RUNNING"):
    state = {"type": kind.upper(), "name": words[0] if kind == "failed" else "Crashed", "message": words[-1]}
    ask(f"/flow_runs/{run}/set_state", {"state": state, "force": kind == "failed"})
PYTHON
}

STAGE="start"
stage() { STAGE="$1"; tell log "boot: $1"; }
fail() {
  trap - ERR
  tell failed BootFailed "$STAGE: $1. The last lines: $(tail -n 5 "$WORK/boot.log" | tr '\n' '|')"
  exit 1
}
trap 'fail "line $LINENO failed"' ERR

# The article lost hours to the order of driver, CUDA and torch. Here the image brings the driver, the torch wheel
# brings its CUDA, and the two are tried on each other before anything else runs.
if [ "$REQUIRE_GPU" = 1 ]; then
  stage "driver"
  for _ in $(seq 60); do nvidia-smi > /dev/null 2>&1 && break; sleep 5; done
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv || fail "the image's GPU driver does not answer"
fi

stage "rawtune $WHEEL_NAME"
curl --fail --silent --show-error --location --retry 5 --retry-all-errors --output "$WHEEL_NAME" "$WHEEL_URL"
echo "$WHEEL_SHA256  $WHEEL_NAME" | sha256sum --check --quiet || fail "the wheel does not have the hash that was ordered"

# An environment on a file system that outlives the machine is made once for each set of pins.
READY="$ENVIRONMENT/.ready-$CONSTRAINTS_SHA256"
if [ ! -f "$READY" ]; then
  stage "environment (some minutes)"
  PYTHON=""
  for name in python3.13 python3.12 python3.11; do "$name" -c "" 2> /dev/null && PYTHON="$name" && break; done
  [ -n "$PYTHON" ] || fail "the image has no Python of 3.11 to 3.13"
  "$PYTHON" -m venv "$ENVIRONMENT" || {
    apt-get update -q && apt-get install -q -y "$PYTHON-venv"
    "$PYTHON" -m venv "$ENVIRONMENT"
  }
  "$ENVIRONMENT/bin/python" -m pip install --quiet -c "$CONSTRAINTS" "rawtune$EXTRAS @ file://$WORK/$WHEEL_NAME"
  touch "$READY"
fi
"$ENVIRONMENT/bin/python" -m pip install --quiet --no-deps --force-reinstall "$WHEEL_NAME"

if [ "$REQUIRE_GPU" = 1 ]; then
  "$ENVIRONMENT/bin/python" -c "import torch; torch.zeros(1).cuda()" || fail "torch cannot use the image's driver"
fi

SECONDS_LEFT=$((RAWTUNE_EXPIRES - $(date +%s) - WIND_UP_SECONDS))
[ "$SECONDS_LEFT" -gt 0 ] || fail "no time is left of the budget"
stage "run, for at most $SECONDS_LEFT s"
trap - ERR
CODE=0
BEGAN=$SECONDS
timeout --signal=INT --kill-after=60 "$SECONDS_LEFT" "$ENVIRONMENT/bin/python" -m prefect flow-run execute || CODE=$?
# 137 is the time limit's last word, but also what a process gives that was killed because memory ran out.
if [ "$CODE" = 124 ] || { [ "$CODE" = 137 ] && [ $((SECONDS - BEGAN)) -ge "$SECONDS_LEFT" ]; }; then
  tell failed BudgetReached "the machine's time of the budget (max_hours, max_usd) is used up"
elif [ "$CODE" != 0 ]; then
  tell crashed "the run's process ended with status $CODE after $((SECONDS - BEGAN)) s; 137 is killed, as when memory runs out"
fi
exit "$CODE"
