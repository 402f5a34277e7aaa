#!/usr/bin/env bash
# Makes this machine a GPU worker: a rented box, a workstation, a notebook.
#
#     PREFECT_API_URL=https://… RAWTUNE=<checkout, wheel or address of a wheel> bash gpu_box.sh [POOL]
#
# From a checkout RAWTUNE may be left out. The pins are those of constraints.txt beside the checkout, or CONSTRAINTS.
# The environment lies in RAWTUNE_ENVIRONMENT (~/.rawtune-environment) and is made once for each set of pins.
# Works until it is interrupted; RAWTUNE_ONCE=1 ends it when nothing is in line (a notebook that should not idle).
set -euo pipefail

POOL="${1:-gpu-colab}"
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
RAWTUNE="${RAWTUNE:-$HERE}"
CONSTRAINTS="${CONSTRAINTS:-$HERE/constraints.txt}"
ENVIRONMENT="${RAWTUNE_ENVIRONMENT:-$HOME/.rawtune-environment}"
export DO_NOT_TRACK=1 PREFECT_LOGGING_EXTRA_LOGGERS=tasks,flows PIP_DISABLE_PIP_VERSION_CHECK=1

stop() { echo "gpu_box: $1" >&2; exit 2; }

[ -n "${PREFECT_API_URL:-}" ] || stop "PREFECT_API_URL is not set: the address of the Prefect server, ending in /api"
[ -f "$CONSTRAINTS" ] || stop "$CONSTRAINTS is missing: set CONSTRAINTS to rawtune's constraints.txt"
PYTHON=""
for name in python3.13 python3.12 python3.11; do "$name" -c "" 2> /dev/null && PYTHON="$name" && break; done
[ -n "$PYTHON" ] || stop "Python 3.11 to 3.13 is needed"

READY="$ENVIRONMENT/.ready-$(sha256sum "$CONSTRAINTS" | cut -c1-16)"
if [ ! -f "$READY" ]; then
  echo "gpu_box: making $ENVIRONMENT; some minutes" >&2
  "$PYTHON" -m venv "$ENVIRONMENT"
  "$ENVIRONMENT/bin/python" -m pip install --quiet -c "$CONSTRAINTS" "$RAWTUNE"
  touch "$READY"
fi
"$ENVIRONMENT/bin/python" -m pip install --quiet --no-deps --force-reinstall "$RAWTUNE"

# A worker without a GPU would take a run and train for days.
if [ "${RAWTUNE_NEEDS_GPU:-1}" = 1 ]; then
  "$ENVIRONMENT/bin/python" -c 'import torch; torch.zeros(1).cuda(); print("gpu_box:", torch.cuda.get_device_name(0))' \
    || stop "torch finds no GPU here; see nvidia-smi, or set RAWTUNE_NEEDS_GPU=0"
fi

ONCE=()
[ "${RAWTUNE_ONCE:-0}" = 1 ] && ONCE=(--run-once)
exec "$ENVIRONMENT/bin/python" -m prefect worker start --pool "$POOL" --type process --limit 1 "${ONCE[@]}"
