"""The console app: registers the system checks."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"

    def ready(self) -> None:
        # The checks look at every app, so they are imported once all are there.
        from console import checks  # noqa: F401
