"""How much memory a process has used, according to Linux."""

import re
from pathlib import Path

_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def peak_bytes(pid: int) -> int:
    """The peak resident memory. 0 if the system does not report it, or the process has ended."""
    status = Path(f"/proc/{pid}/status")
    match = _PEAK.search(status.read_text("utf-8")) if status.exists() else None
    return int(match[1]) * 1024 if match else 0
