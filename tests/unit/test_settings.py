"""Settings: which place wins, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubtool import packaged, settings
from hubtool.errors import SettingsError


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """Return a project folder, a user's configuration folder, and an environment that names the latter."""
    project, user = tmp_path / "project", tmp_path / "user"
    (project / "below").mkdir(parents=True)
    (user / "hubtool").mkdir(parents=True)
    return project, user / "hubtool", {"XDG_CONFIG_HOME": str(user), "HOME": str(tmp_path)}


def test_the_defaults(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, environ = places
    current = settings.load(environ, project)
    assert current.registry == (packaged.registry_folder(),)
    assert current.offline is False
    assert current.allowed_hosts == settings.DEFAULT_HOSTS
    assert set(current.origins.values()) == {"default"}
    assert current.home.name == "hubtool"


def test_variable_before_project_before_user(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, user, environ = places
    (user / "hubtool.toml").write_text('home = "u"\noffline = true\nregistry = "r"\nallowed-hosts = ["u.example"]\n')
    (project / "hubtool.toml").write_text('home = "p"\noffline = false\nallowed-hosts = ["P.example"]\n')
    current = settings.load({**environ, "HUBTOOL_HOME": "v", "HUBTOOL_ALLOWED_HOSTS": "v.example"}, project / "below")
    assert current.home == project / "below" / "v"
    assert current.origins["home"] == "variable HUBTOOL_HOME"
    assert current.offline is False
    assert current.origins["offline"] == str(project / "hubtool.toml")
    assert current.registry == (user / "r",)  # relative to the file that says so
    assert current.origins["registry"] == str(user / "hubtool.toml")
    assert current.allowed_hosts == (*settings.DEFAULT_HOSTS, "v.example", "p.example", "u.example")
    assert "default + variable HUBTOOL_ALLOWED_HOSTS" in current.origins["allowed_hosts"]


def test_several_registries(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, environ = places
    assert settings.load({**environ, "HUBTOOL_REGISTRY": "/a:b"}, project).registry == (Path("/a"), project / "b")


@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("0", False), ("no", False)])
def test_flags(places: tuple[Path, Path, dict[str, str]], text: str, value: bool) -> None:
    assert settings.load({**places[2], "HUBTOOL_OFFLINE": text}, places[0]).offline is value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("offlin = true", "did you mean 'offline'"),
        ("offline = 3", "'offline' is 3"),
        ("home = [1]", "is not a path"),
        ("allowed-hosts = 'https://example.org/'", "is not a host name"),
        ("allowed-hosts = [1]", "must be a list"),
        ("registry = []", "names no folder"),
        ("home = ", "is not TOML"),
        ("\xff", "is not TOML"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_file(
    places: tuple[Path, Path, dict[str, str]], text: str, part: str
) -> None:
    project, _, environ = places
    (project / "hubtool.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError) as caught:
        settings.load(environ, project)
    assert part in str(caught.value)
    assert "hubtool.toml" in caught.value.message


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("HUBTOOL_OFFLINE", "maybe", "HUBTOOL_OFFLINE is 'maybe'"),
        ("HUBTOOL_MIRRORS", "https://me:SECRET@a.example", "HUBTOOL_MIRRORS: a mirror holds a login"),
        ("HUBTOOL_REGISTRY", ":", "HUBTOOL_REGISTRY names no folder"),
        ("HUBTOOL_LINK_BASE", " ", "HUBTOOL_LINK_BASE is ' ', which is not text"),
        ("HUBTOOL_ALLOWED_HOSTS", "ftp://lab", "HUBTOOL_ALLOWED_HOSTS: 'ftp://lab' is not a host name"),
        (
            "HUBTOOL_HOME",
            "~nobody-of-this-name/x",
            "HUBTOOL_HOME is '~nobody-of-this-name/x', and there is no such user",
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_its_variable(
    places: tuple[Path, Path, dict[str, str]], name: str, text: str, part: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load({**places[2], name: text}, places[0])
    assert caught.value.message.startswith(part)


def test_what_a_setting_is_called(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, user, environ = places
    (project / "hubtool.toml").write_text('mirrors = ["https://a.example/m"]\nallowed-hosts = ["p.example"]\n')
    (user / "hubtool.toml").write_text('allowed-hosts = ["u.example"]\n')
    current = settings.load({**environ, "HUBTOOL_OFFLINE": "1"}, project)
    assert current.called("offline") == "HUBTOOL_OFFLINE"
    assert current.called("mirrors") == f"{project / 'hubtool.toml'}: 'mirrors'"
    assert current.called("home") == "'home'"
    both = f"{project / 'hubtool.toml'}: 'allowed-hosts' and {user / 'hubtool.toml'}: 'allowed-hosts'"
    assert current.called("allowed_hosts") == both


def test_mirrors_are_addresses_and_folders_in_their_order(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, environ = places
    (project / "hubtool.toml").write_text('mirrors = ["https://a.example/m", "b", "/c"]\n')
    current = settings.load(environ, project)
    assert current.mirrors == ("https://a.example/m", str(project / "b"), str(Path("/c")))
    current = settings.load({**environ, "HUBTOOL_MIRRORS": "http://lab:8080 , s3://bucket/x"}, project)
    assert current.mirrors == ("http://lab:8080", "s3://bucket/x")
    assert current.origins["mirrors"] == "variable HUBTOOL_MIRRORS"
    with pytest.raises(SettingsError, match="holds a login") as caught:
        settings.load({**environ, "HUBTOOL_MIRRORS": "https://me:SECRET@a.example"}, project)
    assert "SECRET" not in str(caught.value)


def test_hosts_of_ones_own_network(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, environ = places
    current = settings.load({**environ, "HUBTOOL_ALLOWED_HOSTS": "http://lab:8080,https://store.lab"}, project)
    assert current.allowed_hosts[-2:] == ("http://lab:8080", "https://store.lab")
    for wrong in ("ftp://lab", "http://lab/a", "lab/a"):
        with pytest.raises(SettingsError, match="is not a host name"):
            settings.load({**environ, "HUBTOOL_ALLOWED_HOSTS": wrong}, project)
