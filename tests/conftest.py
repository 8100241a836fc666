"""Makes the shared instances importable from every test, and the independent checker judge every answer."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import checked

checked.install(trials=checked.TRIALS)
