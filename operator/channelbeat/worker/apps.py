"""The Django app: listed before `channels`, its runworker is the one that `manage.py` finds."""

from django.apps import AppConfig
from django.core import checks as django_checks


class WorkerConfig(AppConfig):
    name = "channelbeat.worker"
    label = "channelbeat"
    verbose_name = "channelbeat"

    def ready(self) -> None:
        from channelbeat.worker import checks  # noqa: PLC0415 - it looks at layers, which Django has by now

        django_checks.register(checks.check)
