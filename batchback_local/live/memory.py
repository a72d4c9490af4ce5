"""How much memory a process has taken, as Linux tells it."""

import re
from pathlib import Path

_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def peak_bytes(pid: int) -> int:
    """The most that was ever resident; 0 where the system does not tell, or the process is gone."""
    status = Path(f"/proc/{pid}/status")
    match = _PEAK.search(status.read_text("utf-8")) if status.exists() else None
    return int(match[1]) * 1024 if match else 0
