"""The other modules here are no tests: `stress.py` runs them too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore = ["cases.py", "mutations.py", "server.py", "stress.py"]
