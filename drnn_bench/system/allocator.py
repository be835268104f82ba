"""Memory that a training step frees stays with the process, for the next step.

glibc gives large pieces back to the system as soon as they are free, and the next step then pays
for every page anew: a dilated CNN of 5,000 parameters trains 2.2 times as fast without that, S4D
1.4 times, a fused recurrent net, which keeps its own workspaces, as before.
"""

from __future__ import annotations

import ctypes

TRIM, MMAP = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
NEVER, LARGEST = 1 << 30, 32 << 20  # bytes; glibc allows no more of the second


def keep_freed_memory() -> None:
    """Asks the allocator for it, where there is one that can be asked."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    mallopt(TRIM, NEVER)
    mallopt(MMAP, LARGEST)
