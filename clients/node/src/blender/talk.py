"""How the scripts inside Blender speak to the node: one JSON object a line. Knows nothing of scenes.

The line starts with a word of its own, because Blender and its add-ons print on the same stream.
"""

import json
import os

WORD = "FRAMEFAIR "


class Fault(Exception):
    """Why nothing can be rendered. `whose` is "scene" (final for everybody) or "node" (another may try)."""

    def __init__(self, whose, reason, message):
        super().__init__(message)
        self.whose, self.reason, self.message = whose, reason, message


def say(event, **fields):
    line = WORD + json.dumps({"event": event, **fields}) + "\n"
    # The leading newline ends whatever Blender left half-written on the stream.
    os.write(1, ("\n" + line).encode("utf-8", "replace"))
