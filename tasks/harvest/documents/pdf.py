"""`python -m tasks.harvest.documents.pdf`: a PDF in, the text of its pages out, each ended by a form feed.

A process of its own, since a hostile PDF can take any time and memory.
"""

from __future__ import annotations

import io
import resource
import sys
from typing import Final

PDF_SECONDS: Final = 60
PDF_BYTES: Final = 2_000_000_000
"""Memory that reading a PDF may take, address space."""
ENCRYPTED: Final = 3
"""Exit code."""


def main() -> int:
    """Reads standard input, writes standard output."""
    from pypdf import PdfReader

    resource.setrlimit(resource.RLIMIT_AS, (PDF_BYTES, PDF_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PDF_SECONDS, PDF_SECONDS))
    reader = PdfReader(io.BytesIO(sys.stdin.buffer.read()))
    if reader.is_encrypted and not reader.decrypt(""):
        return ENCRYPTED
    for page in reader.pages:
        text = page.extract_text().replace("\f", "\n")
        sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\f")
    return 0


if __name__ == "__main__":
    sys.exit(main())
