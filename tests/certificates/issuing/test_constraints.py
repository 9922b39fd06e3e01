"""The names that a CA is limited to: what is refused here, openssl refuses, and the other way round."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from certificates.issuing import Authority, IssuingError, Profile, Subject, entered_constraints
from tests import pki
from tests.certificates.issuing.made import authority, elsewhere, leaf, unlimited

LIMITED = {
    # limits, names, whether they are within
    "domain itself": ("test.com", "test.com", True),
    "below the domain": ("test.com", "a.b.test.com", True),
    "star below the domain": ("test.com", "*.test.com", True),
    "ends alike": ("test.com", "mytest.com", False),
    "above the domain": ("a.test.com", "test.com", False),
    "star above the domain": ("a.test.com", "*.test.com", False),
    "one of several": ("test.com, test.net", "www.test.net", True),
    "one is not": ("test.com", "www.test.com, www.test.net", False),
    "dot and star": (".test.com, *.test.net", "www.test.com, test.net", True),
    "in the network": ("192.0.2.0/24, 2001:db8::/32", "192.0.2.7, 2001:db8::1", True),
    "outside of the network": ("192.0.2.0/24", "192.0.3.7", False),
    "other kind of address": ("192.0.2.0/24", "2001:db8::1", False),
    "kind without a limit": ("test.com", "192.0.2.7", True),
}


@pytest.mark.parametrize("what", LIMITED)
def test_limits_of_a_ca_are_what_openssl_makes_of_them(what: str, tmp_path: Path) -> None:
    """What is refused here is refused by openssl as well, were it issued, and the other way round."""
    limits, names, is_within = LIMITED[what]
    limited = authority(permitted=limits)
    ca_file, file = tmp_path / "ca.pem", tmp_path / "one.pem"
    ca_file.write_text(limited.certificate)
    file.write_text(leaf(Profile.SERVER, unlimited(limited), names=names, subject=Subject("one")).certificate)
    judged = subprocess.run(
        ["openssl", "verify", "-CAfile", str(ca_file), str(file)], capture_output=True, text=True, timeout=60
    )
    assert (judged.returncode == 0, "permitted subtree" in judged.stderr) == (is_within, not is_within)

    if is_within:
        leaf(Profile.SERVER, limited, names=names)
    else:
        with pytest.raises(IssuingError, match="limited to certain names") as refused:
            leaf(Profile.SERVER, limited, names=names)
        assert refused.value.field == "names"


def test_common_name_that_looks_like_a_host_is_held_to_the_limits_where_no_dns_name_is() -> None:
    """OpenSSL does so (`NAME_CONSTRAINTS_check_CN`)."""
    limited = authority(permitted="test.com")
    with pytest.raises(IssuingError, match=r"and www.test.net is not one of them") as refused:
        leaf(Profile.CLIENT, limited, subject=Subject("www.test.net"), names="a@test.net")
    assert refused.value.field == "common_name"
    assert leaf(Profile.CLIENT, limited, subject=Subject("www.test.net"), names="a@test.net, a.test.com")
    assert leaf(Profile.CLIENT, limited, subject=Subject("Ann"), names="a@test.net")


@pytest.mark.parametrize(
    ("limits", "names", "is_within"),
    [
        ("permitted;email:test.com", "a@test.com", True),
        ("permitted;email:test.com", "a@b.test.com", False),
        ("permitted;email:.test.com", "a@b.test.com", True),
        ("permitted;email:a@test.com", "a@test.com", True),
        ("permitted;email:a@test.com", "b@test.com", False),
        ("permitted;URI:test.com", "spiffe://test.com/a", True),
        ("permitted;URI:.test.com", "spiffe://a.test.com:8443/a", True),
        ("permitted;URI:test.com", "spiffe://test.net/a", False),
        ("permitted;URI:test.com", "urn:a:b", False),
        ("excluded;DNS:test.com", "a.test.com", False),
        ("excluded;DNS:test.com", "test.net", True),
        ("permitted;dirName:only", "test.net", False),
        ("excluded;dirName:only", "test.net", True),
    ],
)
def test_limits_of_a_ca_from_elsewhere_are_kept(
    limits: str, names: str, is_within: bool, tmp_path: Path
) -> None:
    extensions = [*pki.CA_EXTENSIONS, f"nameConstraints=critical,{limits}"]
    by = elsewhere(tmp_path, extensions, section="[only]\nO=Other")
    if is_within:
        assert leaf(Profile.CLIENT, by, names=names)
    else:
        with pytest.raises(IssuingError, match="limited to certain names"):
            leaf(Profile.CLIENT, by, names=names)


def test_limits_of_the_cas_above_count_as_well() -> None:
    root = authority(intermediate=True, permitted="test.com")
    free = authority(intermediate=True, name="Free")
    by = Authority(free.certificate, free.private_key, root.above)
    with pytest.raises(IssuingError, match="limited to certain names"):
        leaf(Profile.SERVER, by, names="www.test.net")


@pytest.mark.parametrize(
    "text", ["a b", "10.0.0.1/8", "test_.com/", "mail@test.com", "a\0b", "*.*.test.com", "x" * 300]
)
def test_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(IssuingError, match="is no limit") as refused:
        entered_constraints(f"test.com\n{text}")
    assert refused.value.field == "constraints"


def test_limits_are_bounded_and_taken_once() -> None:
    with pytest.raises(IssuingError, match="At most 50 limits"):
        entered_constraints(",".join(f"a{number}.test.com" for number in range(51)))
    assert entered_constraints("Test.com, *.test.com\n.test.com,, ") == (x509.DNSName("test.com"),)


def test_addresses_of_clients_are_not_issued_where_envoy_cannot_compare_them() -> None:
    """listeners/dataplane/test_issued_profiles.py has Envoy keep them out."""
    by = authority(permitted="test.com, 192.0.2.0/24")
    with pytest.raises(IssuingError, match=r"Leave 192\.0\.2\.1 out") as refused:
        leaf(Profile.CLIENT, by, names="client.test.com, 192.0.2.1")
    assert refused.value.field == "names"
    assert leaf(Profile.CLIENT, by, names="client.test.com")
    assert leaf(Profile.SERVER, by, names="www.test.com, 192.0.2.1")
