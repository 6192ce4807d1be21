"""The simulated providers in a process of their own: what they do is not measured."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def provider() -> Iterator[str]:
    """Their address, as long as the block runs."""
    command = [sys.executable, '-c', 'from farthing_sim.serve import main; main(["serve"])']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
