"""The documents that the applications hold, each different, and where they can listen."""

import hashlib
import socket

from fpdf import FPDF


def pdf(title: str, pages: int = 1) -> bytes:
    """Return a PDF that says `title` on each page."""
    paper = FPDF()
    paper.set_font("helvetica", size=20)
    for page in range(pages):
        paper.add_page()
        paper.cell(text=f"{title}, page {page + 1}")
    return bytes(paper.output())


def digest(content: bytes) -> str:
    """Return the sha256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
