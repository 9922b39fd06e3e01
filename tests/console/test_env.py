import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from console.env import (
    env_address,
    env_bool,
    env_int,
    env_list,
    env_path,
    env_secret,
    env_secret_file,
    env_sockets,
    env_str,
    private_directory,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("Yes", True), (" on ", True), ("0", False), ("FALSE", False), ("", True), ("  ", True)],
)
def test_env_bool(text: str, value: bool) -> None:
    assert env_bool("ELB_X", True, {"ELB_X": text}) is value


def test_env_str_blank_is_default() -> None:
    assert env_str("ELB_X", "local", {"ELB_X": " "}) == "local"


def test_env_list_drops_blanks() -> None:
    assert env_list("ELB_X", ["default"], {"ELB_X": " a, ,b,"}) == ["a", "b"]
    assert env_list("ELB_X", ["default"], {"ELB_X": " , "}) == ["default"]


def test_env_path_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert env_path("ELB_X", None, {"ELB_X": "data"}) == tmp_path / "data"
    assert env_path("ELB_X", None, {}) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("[::1]:443", ("::1", 443)),
        ("console.example.com:1", ("console.example.com", 1)),
    ],
)
def test_env_address(text: str, address: tuple[str, int]) -> None:
    assert env_address("ELB_X", "0.0.0.0:1", {"ELB_X": text}) == address


@pytest.mark.parametrize("text", ["127.0.0.1", ":8000", "127.0.0.1:0", "127.0.0.1:65536", "a:b", "a:\uff11"])
def test_env_address_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^ELB_X is "):
        env_address("ELB_X", "0.0.0.0:1", {"ELB_X": text})


def test_env_bool_nonsense_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^ELB_X is 'maybe'; write 1 or 0"):
        env_bool("ELB_X", True, {"ELB_X": "maybe"})


@pytest.mark.parametrize("text", ["ten", "0", "101"])
def test_env_int_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^ELB_X is "):
        env_int("ELB_X", 5, minimum=1, maximum=100, environ={"ELB_X": text})


def test_env_int_within_bounds() -> None:
    assert env_int("ELB_X", 5, minimum=1, maximum=100, environ={"ELB_X": " 100 "}) == 100
    assert env_int("ELB_X", 5, minimum=1, maximum=100, environ={}) == 5


def test_env_secret_is_generated_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "master.key"

    first = env_secret("ELB_X", path, {})
    second = env_secret("ELB_X", path, {})

    assert first == second
    assert len(first) == 43  # 32 bytes as unpadded base64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


def test_env_secret_from_variable_or_file(tmp_path: Path) -> None:
    named, generated = tmp_path / "named", tmp_path / "generated"
    named.write_text("from-file\n")

    assert env_secret("ELB_X", generated, {"ELB_X": "from-variable"}) == "from-variable"
    assert env_secret("ELB_X", generated, {"ELB_X_FILE": str(named)}) == "from-file"
    assert not generated.exists()


@pytest.mark.parametrize(
    ("environ", "content", "sentence"),
    [
        ({"ELB_X": "a", "ELB_X_FILE": "/b"}, None, "ELB_X and ELB_X_FILE are both set"),
        ({"ELB_X_FILE": "FILE"}, None, "cannot be read"),
        ({"ELB_X_FILE": "FILE"}, b" \n", "is empty"),
        ({"ELB_X_FILE": "FILE"}, b"\xff\xfe", "cannot be read"),
    ],
)
def test_env_secret_refused(
    tmp_path: Path, environ: dict[str, str], content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    environ = {name: value.replace("FILE", str(path)) for name, value in environ.items()}

    with pytest.raises(ImproperlyConfigured, match=sentence):
        env_secret("ELB_X", tmp_path / "generated", environ)


def test_env_secret_that_is_lost_is_not_made_anew(tmp_path: Path) -> None:
    path, trace = tmp_path / "master.key", tmp_path / "console.sqlite3"
    first = env_secret("ELB_X", path, {}, traces=[trace])
    trace.touch()
    assert env_secret("ELB_X", path, {}, traces=[trace]) == first
    path.unlink()
    assert (env_secret("ELB_X", path, {}, traces=[trace]), path.exists()) == ("", False)


@pytest.mark.parametrize(
    ("environ", "file"),
    [({}, "generated"), ({"ELB_X": "secret"}, None), ({"ELB_X_FILE": "/named"}, "/named")],
)
def test_env_secret_file_is_where_the_secret_is_read(environ: dict[str, str], file: str | None) -> None:
    assert env_secret_file("ELB_X", Path("generated"), environ) == (Path(file) if file else None)


def test_private_directory_is_one_under_all_its_names(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "data")
    assert private_directory(tmp_path / "data") == private_directory(link) == tmp_path / "data"


def test_private_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    path = private_directory(tmp_path / "data")

    assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("text", "sockets"),
    [
        ("", set()),
        ("192.0.2.1", {("192.0.2.1", None)}),
        (
            "192.0.2.1:80, [::1]:443,FE80:0::1",
            {("192.0.2.1", 80), ("::1", 443), ("fe80::1", None)},
        ),
    ],
)
def test_sockets_are_addresses_with_and_without_ports(
    text: str, sockets: set[tuple[str, int | None]]
) -> None:
    assert env_sockets("X", {"X": text}) == sockets


@pytest.mark.parametrize("text", ["localhost:80", "192.0.2.1:0", "192.0.2.256", "192.0.2.0/24", "[::1]:"])
def test_socket_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^X"):
        env_sockets("X", {"X": text})
