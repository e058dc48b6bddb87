"""What the benchmarks have in common: how the sides that they compare are started."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
{user}
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def environment(bytecode: Path | None, **own: str) -> dict[str, str]:
    """Return this process's environment without hubtool's settings, in which Python keeps what it compiled.

    What pip installs is compiled; a checkout is at its first run. Where bytecode may not be written, every run of a
    checkout would be a first one.

    Args:
        bytecode: The folder for compiled modules, of all sides; where Python itself puts them, if None.
        own: Variables to set.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HUBTOOL_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    if bytecode is not None:
        kept["PYTHONPYCACHEPREFIX"] = str(bytecode)
    return {**kept, **own}


def warm(folder: Path) -> None:
    """Read every file of a folder, so that no side finds it on the disk and the next one in memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[str]:
    """Serve a folder with nginx on this machine, as a child process; yields its address.

    Args:
        folder: Where its configuration and its own files go.
        root: What it serves.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, user=user, root=root))
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
