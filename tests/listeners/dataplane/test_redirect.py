"""An HTTP listener that redirects: same host and path and query, the port of the HTTPS listener."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from listeners.spec import ListenerSpec, RedirectSpec
from tests.curl import curl
from tests.envoy_lab import configuration, envoy_lab, http
from tests.ports import free_port


def to(port: int, id: int) -> ListenerSpec:
    return replace(http(id, free_port(), 1), action=RedirectSpec(port))


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[int, int]]:
    """Those of the HTTP listeners by the ports that they redirect to."""
    listeners = (to(443, 1), to(8443, 2))
    with envoy_lab() as lab:
        lab.apply(configuration(*listeners))
        lab.wait_served(*listeners)
        yield {443: listeners[0].port, 8443: listeners[1].port}


@pytest.mark.parametrize(
    ("host", "usual", "other"),
    [
        ("www.test.com", "https://www.test.com", "https://www.test.com:8443"),
        ("www.test.com:80", "https://www.test.com", "https://www.test.com:8443"),
        ("WWW.test.com:8080", "https://WWW.test.com", "https://WWW.test.com:8443"),
        ("192.0.2.7:8080", "https://192.0.2.7", "https://192.0.2.7:8443"),
        ("[2001:db8::1]:8080", "https://[2001:db8::1]", "https://[2001:db8::1]:8443"),
        ("[2001:db8::1]", "https://[2001:db8::1]", "https://[2001:db8::1]:8443"),
    ],
)
def test_location_is_the_same_place_over_https(
    ports: dict[int, int], host: str, usual: str, other: str
) -> None:
    path = "/a%2Fb/../c;d?x=1&y=%20&z=//e"
    found = {}
    for target, port in ports.items():
        answer = curl("--path-as-is", "-H", f"Host: {host}", f"http://127.0.0.1:{port}{path}")
        found[target] = (answer.status, dict(answer.headers)["location"])
    assert found == {443: (301, usual + path), 8443: (301, other + path)}


@pytest.mark.parametrize("options", [("-X", "POST", "-d", "x=1"), ("-I",), ("-X", "DELETE")])
def test_every_method_is_redirected(ports: dict[int, int], options: tuple[str, ...]) -> None:
    answer = curl(*options, "-H", "Host: www.test.com", f"http://127.0.0.1:{ports[443]}/form")
    assert (answer.status, dict(answer.headers)["location"]) == (301, "https://www.test.com/form")


def test_path_of_two_slashes_leads_to_no_other_host(ports: dict[int, int]) -> None:
    url = f"http://127.0.0.1:{ports[443]}//elsewhere.example/"
    answer = curl("--path-as-is", "-H", "Host: www.test.com", url)
    assert dict(answer.headers)["location"] == "https://www.test.com//elsewhere.example/"


def test_request_without_a_host_is_not_redirected(ports: dict[int, int]) -> None:
    answer = curl("-H", "Host:", f"http://127.0.0.1:{ports[443]}/")
    assert (answer.status, [name for name, _ in answer.headers if name == "location"]) == (400, [])
