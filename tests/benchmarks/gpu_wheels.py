"""Downloads the wheels that `train_gpu.py` needs on a machine with Python 3.12 and torch but no network, and takes out
what it does not use there: Unsloth's studio, bitsandbytes for other CUDA versions than 13.0.

    python3 tests/benchmarks/gpu_wheels.py .whl
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = [
    "annotated-types==0.8.0",
    "bitsandbytes==0.50.2",
    "cut-cross-entropy==25.1.1",
    "datasets==4.8.5",
    "diffusers==0.42.1",
    "dill==0.4.1",
    "docstring-parser==0.18.0",
    "hf-transfer==0.1.9",
    "importlib-metadata==10.2.0",
    "lazy-importer==0.1.0",
    "liger-kernel==0.8.5",
    "msgspec==0.22.0",
    "multiprocess==0.70.19",
    "nest-asyncio==1.6.0",
    "pathlib-abc==0.5.2",
    "peft==0.21.2",
    "pydantic-core==2.50.4",
    "pydantic==2.14.3",
    "structlog==26.1.0",
    "torchao==0.18.0",
    "trl==1.15.0",
    "typeguard==4.6.0",
    "typing-inspection==0.4.5",
    "tyro==1.0.17",
    "universal-pathlib==0.3.10",
    "unsloth-zoo==2026.10.9",
    "unsloth==2026.10.9",
    "xxhash==4.1.0",
    "zipp==4.1.2",
]
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (34, 28, 27, 24, 17)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux1_x86_64"]
UNUSED = ("studio/", "unsloth_cli/", "bitsandbytes/libbitsandbytes_rocm", "bitsandbytes/libbitsandbytes_xpu")


def unused(name: str) -> bool:
    """Whether a file of a wheel stays behind."""
    cuda = name.startswith("bitsandbytes/libbitsandbytes_cuda") and "cuda130" not in name
    return cuda or name.startswith(UNUSED)


def main() -> None:
    """Downloads, then rewrites the wheels that have something to leave behind."""
    folder = Path(sys.argv[1])
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", "3.12", "--implementation", "cp", "-d", str(folder)]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    subprocess.run([*command, *PACKAGES], check=True)
    for path in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(path) as wheel:
            if not any(unused(name) for name in wheel.namelist()):
                continue
            kept = [(info, wheel.read(info)) for info in wheel.infolist() if not unused(info.filename)]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for info, content in kept:
                wheel.writestr(info, content)
    print(f"{sum(path.stat().st_size for path in folder.glob('*.whl')) / 2**20:.1f} MiB in {folder}")


if __name__ == "__main__":
    main()
