"""Which Python runs a backend: this one, or the one of an environment that has Unsloth.

Unsloth caps the versions of most libraries beside it, so on a machine without a GPU it has an environment of its own
(`make setup-unsloth`); on a GPU machine the extra `gpu` puts it into this one.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Final

from tasks.base.errors import InputError
from tasks.model.child import ROOT

VARIABLE: Final = "RAWTUNE_UNSLOTH_PYTHON"
"""Environment variable: the interpreter of an environment that has Unsloth."""


def unsloth_python() -> Path | None:
    """The interpreter that can import Unsloth: null = this one.

    The first that there is of `RAWTUNE_UNSLOTH_PYTHON`, this environment, `.venv-unsloth` beside the program.

    Raises:
        InputError: there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).exists():
            raise InputError(f"{VARIABLE}: {named} does not exist; name the python of an environment that has unsloth")
        return Path(named)
    if importlib.util.find_spec("unsloth") is not None:
        return None
    beside = ROOT / ".venv-unsloth" / "bin" / "python"
    if beside.exists():
        return beside
    raise InputError(
        "training.backend: unsloth is not installed; run make setup-unsloth in a checkout, or name an interpreter "
        f"that has it in {VARIABLE}"
    )


def has_unsloth() -> bool:
    """Whether `unsloth_python` finds one."""
    try:
        unsloth_python()
    except InputError:
        return False
    return True
