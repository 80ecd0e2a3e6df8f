"""Where things lie when nothing else is said."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where answers are kept between runs: what `CERTIFY_CACHE` says, or `.certify/cache`."""
    return Path(os.environ.get("CERTIFY_CACHE") or ".certify/cache")
