"""What the kernel says about a running process."""

from pathlib import Path


def resident_mib(pid: int) -> float:
    """Resident memory of a process, in MiB, from /proc."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
