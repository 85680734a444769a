"""Real hosts on one machine: fleets for demonstrations and for tests.

`Fleet.up()` starts them; `python3 -m lab` does the same from a shell.
"""

from lab.commands import LabError
from lab.fleet import Fleet
from lab.host import LabHost

__all__ = ["Fleet", "LabError", "LabHost"]
