"""Tells in the log which schedules do not run as they are written: when that begins or changes, and when it is mended. A listener of the register."""

import logging
from typing import Final

from channelbeat.cluster.register import Seen

log: Final = logging.getLogger("channelbeat.schedules")

SHOWN: Final = 3
"""Faults in a line; all of them are in the status."""
NAMED: Final = 5


class FaultLog:
    """Of those that are known when `begin` is called, the number is told, and a few names; of later ones each has a line."""

    def __init__(self) -> None:
        self._faulty: dict[str, str] = {}  # what was wrong, by schedule
        self._begun = False

    def seen(self, seen: Seen) -> None:
        said, was = _said(seen), self._faulty.get(seen.key, "")
        if said == was:
            return
        if said:
            self._faulty[seen.key] = said
            if self._begun:
                log.warning("schedule %s does not run as it is written: %s", seen.key, said, extra=_names(seen.key))
        else:
            del self._faulty[seen.key]
            if self._begun:
                log.info("schedule %s runs as it is written: its faults are mended", seen.key, extra=_names(seen.key))

    def gone(self, key: str) -> None:
        self._faulty.pop(key, None)

    def begin(self) -> None:
        """All that exists has been seen."""
        self._begun = True
        for key in [*self._faulty][:NAMED]:
            log.warning("schedule %s does not run as it is written: %s", key, self._faulty[key], extra=_names(key))
        if len(self._faulty) > NAMED:
            log.warning("%d schedules more do not run as they are written: kubectl get beat -A -o wide", len(self._faulty) - NAMED)


def _said(seen: Seen) -> str:
    """What is wrong, each with its cure; empty for nothing."""
    wrong = [str(fault) for fault in seen.faults]
    if seen.refusal is not None:
        wrong.insert(0, seen.refusal.text)
    more = f"; and {len(wrong) - SHOWN} more, see its status" if len(wrong) > SHOWN else ""
    return "; ".join(wrong[:SHOWN]) + more


def _names(key: str) -> dict[str, str]:
    namespace, _, name = key.partition("/")
    return {"namespace": namespace, "schedule": name}
