"""Install the network: `python -m tests.servers.bluesky`."""

import sys

from tests.servers.bluesky import FOLDER, install, installed
from tests.servers.unavailable import Unavailable

if __name__ == "__main__":
    try:
        if not installed():
            install()
    except Unavailable as error:
        sys.exit(f"not available: {error}")
    sys.stdout.write(f"Bluesky network  {FOLDER}\n")
