"""The emulator as a process of its own, with two changes: it writes down every call that a role makes,
and a minute of its schedules lasts five seconds. Knows nothing of this product.

    python emulator.py CALLS       # CALLS gets one JSON document a line

What is written is what the emulator's own policy evaluation was asked, so an action or a resource
here is spelled as a policy spells it. The addresses come from the environment, as the emulator reads
them.
"""

import json
import sys
import threading
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext, EvalResult
from ministack.services import eventbridge

MINUTES_IN_A_MINUTE = 12

_enforce = iam_evaluator.enforce
_evaluate = iam_evaluator.evaluate
_rate_seconds = eventbridge._parse_rate_seconds
_asked = threading.local()
_lock = threading.Lock()


def main(calls: str) -> None:
    with open(calls, "a", encoding="utf-8") as out:

        def enforce(*args: Any, **named: Any) -> Any:
            _asked.first = None
            refused = _enforce(*args, **named)
            # The account itself may do everything, and nobody's policies are asked.
            if (asked := _asked.first) is not None:
                call = {
                    "who": asked.principal_arn,
                    "action": asked.action,
                    "resource": asked.resource_arn,
                    "allowed": refused is None,
                }
                with _lock:
                    out.write(json.dumps(call) + "\n")
                    out.flush()
            return refused

        iam_evaluator.enforce = enforce
        iam_evaluator.evaluate = _remember
        eventbridge._parse_rate_seconds = _hurried
        sys.argv = sys.argv[:1]
        app.main()


def _remember(ctx: EvalContext, *policies: Any) -> EvalResult:
    """The first question is about the role; what follows is about the resource's own policy."""
    _asked.first = _asked.first or ctx
    return _evaluate(ctx, *policies)


def _hurried(expression: str) -> float | None:
    seconds = _rate_seconds(expression)
    return None if seconds is None else seconds / MINUTES_IN_A_MINUTE


if __name__ == "__main__":
    main(sys.argv[1])
