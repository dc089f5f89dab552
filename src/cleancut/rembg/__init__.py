"""Drop-in for rembg 2.0.86: ``from cleancut.rembg import remove, new_session``.

Same names, parameters and return types, other engine. The modules ``bg``, ``session_factory`` and
``sessions`` lie where rembg has them. ``docs/from-rembg.md`` lists what differs, and why.
"""

from __future__ import annotations

from cleancut.rembg.bg import remove
from cleancut.rembg.session_factory import new_session
from cleancut.rembg.sessions import Session, sessions_names

#: The rembg release whose interface this is.
__version__ = "2.0.86"

__all__ = ["Session", "__version__", "new_session", "remove", "sessions_names"]
