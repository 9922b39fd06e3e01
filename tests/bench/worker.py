"""One side of the comparison: a process that fills its database, then answers and times one request a line.

It is started with the side's settings and speaks JSON over its standard streams. The other process knows
nothing of Django; this one knows nothing of the other side.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

import django
from django.core.management import call_command


def main(side: str) -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from django.test import Client

    rows = importlib.import_module(f"tests.bench.{side}_rows")
    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    rows.fill(int(os.environ["BENCH_ROWS"]), json.loads(os.environ["BENCH_AUTHORITY"]))
    answer({"django": django.get_version()})
    for line in sys.stdin:
        answer(timed(client, json.loads(line)))


def timed(client: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """GET an address; or POST to it what its form holds, with fields changed, and time the POST alone."""
    from tests.html_forms import html_forms

    act, arguments = client.get, [asked["url"]]
    if "fields" in asked:
        forms = html_forms(client.get(asked["url"]).content.decode())
        form = next(form for form in forms if "name" in form.fields)
        act, arguments = client.post, [asked["url"], form.fields | asked["fields"]]
    started = time.perf_counter()
    response = act(*arguments)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "status": response.status_code, "text": response.content.decode()}


def answer(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
