"""The Django app that handles events: `manage.py runworker` without losses, and one-off runs from a project's own code."""

from channelbeat.worker.current import CurrentRun, current_run
from channelbeat.worker.sending import acancel, asend, cancel, send

__all__ = ["CurrentRun", "acancel", "asend", "cancel", "current_run", "send"]
