"""Settings: which place wins, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hubtool import ownership, resources, settings
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
    assert current.registry == (resources.registry_folder(),)
    assert current.offline is False
    assert current.allowed_hosts == settings.DEFAULT_HOSTS
    assert set(current.origins.values()) == {"default"}
    assert current.home.name == "hubtool"


def test_variable_before_project_before_user(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, user, environ = places
    (user / "hubtool.toml").write_text('home = "u"\noffline = true\nregistry = "r"\nallowed-hosts = ["u.example"]\n')
    (project / "hubtool.toml").write_text('home = "p"\noffline = false\nallowed-hosts = ["P.example"]\n')
    settings.approve(project / "hubtool.toml", environ)
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
        (f"home = {'[' * 5000}{']' * 5000}", "nested too deeply"),
        ("#" * (1 << 20) + "#", "more than 1,048,576 bytes"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_file(
    places: tuple[Path, Path, dict[str, str]], text: str, part: str
) -> None:
    project, _, environ = places
    (project / "hubtool.toml").write_bytes(text.encode("latin-1"))

    def use() -> None:
        settings.approve(project / "hubtool.toml", environ)
        settings.load(environ, project)

    with pytest.raises(SettingsError) as caught:
        use()
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
    settings.approve(project / "hubtool.toml", environ)
    current = settings.load({**environ, "HUBTOOL_OFFLINE": "1"}, project)
    assert current.called("offline") == "HUBTOOL_OFFLINE"
    assert current.called("mirrors") == f"{project / 'hubtool.toml'}: 'mirrors'"
    assert current.called("home") == "'home'"
    both = f"{project / 'hubtool.toml'}: 'allowed-hosts' and {user / 'hubtool.toml'}: 'allowed-hosts'"
    assert current.called("allowed_hosts") == both


def test_mirrors_are_addresses_and_folders_in_their_order(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, environ = places
    (project / "hubtool.toml").write_text('mirrors = ["https://a.example/m", "b", "/c"]\n')
    settings.approve(project / "hubtool.toml", environ)
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


WIDENING = """
home = "forged"
stores = ["more"]
registry = ["cards"]
mirrors = ["https://evil.example/m"]
allowed-hosts = ["evil.example"]
blobs = "s3://evil/b"
link-base = "https://evil.example"
"""


def test_a_file_that_lies_in_a_clone_only_narrows(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, environ = places
    file = project / "hubtool.toml"
    file.write_text(f'{WIDENING}offline = true\nlock = "hub.lock"\n[validate]\nignore = ["HT406"]\n')
    plain = settings.load(environ, project.parent)
    current = settings.load(environ, project / "below")
    for name in ("home", "stores", "registry", "mirrors", "allowed_hosts", "blobs", "link_base"):
        assert getattr(current, name) == getattr(plain, name), name
    assert current.offline
    assert current.lock == project / "hub.lock"
    assert current.validate.ignore == ("HT406",)
    assert {one.key for one in current.ignored} == {
        "home", "stores", "registry", "mirrors", "allowed-hosts", "blobs", "link-base",
    }  # fmt: skip
    assert {one.why for one in current.ignored} == {"the file is not approved"}
    assert {one.file for one in current.ignored} == {file}


def test_an_approved_file_is_in_force_until_it_changes(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, environ = places
    file = project / "hubtool.toml"
    file.write_text(WIDENING)
    settings.approve(file, environ)
    current = settings.load(environ, project)
    assert current.home == project / "forged"
    assert current.ignored == ()
    file.write_text(WIDENING.replace("forged", "other"))
    current = settings.load(environ, project)
    assert current.home != project / "other"
    assert {one.why for one in current.ignored} == {"the file changed since it was approved"}
    settings.approve(file, environ)
    assert settings.load(environ, project).home == project / "other"
    assert settings.revoke(file, environ)
    assert not settings.revoke(file, environ)
    assert settings.load(environ, project).home != project / "other"


def test_an_approval_is_of_one_path(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, environ = places
    (project / "hubtool.toml").write_text(WIDENING)
    settings.approve(project / "hubtool.toml", environ)
    (project / "below" / "hubtool.toml").write_text(WIDENING)
    assert settings.load(environ, project / "below").ignored


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_to_an_approved_file_is_not_approved(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, user, environ = places
    file = project / "hubtool.toml"
    file.write_text('home = "store"\n')
    settings.approve(file, environ)
    clone = project / "below"
    (clone / "hubtool.toml").symlink_to(file)
    assert settings.load(environ, clone).home != clone / "store"
    assert {one.why for one in settings.load(environ, clone).ignored} == {"the file is not approved"}
    # Nor does a link to the user's own file move what its relative paths mean.
    (user / "hubtool.toml").write_text('home = "own"\n')
    (clone / "hubtool.toml").unlink()
    (clone / "hubtool.toml").symlink_to(user / "hubtool.toml")
    assert settings.load(environ, clone).home == user / "own"
    # A link of the user's own may be approved where it stands.
    settings.approve(clone / "hubtool.toml", environ)
    assert settings.revoke(clone / "hubtool.toml", environ)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_the_user_s_own_file_is_not_used_if_others_can_write_it(
    places: tuple[Path, Path, dict[str, str]], mode: int
) -> None:
    project, user, environ = places
    file = user / "hubtool.toml"
    file.write_text('home = "own"\n')
    assert settings.load(environ, project).home == user / "own"
    file.chmod(mode)
    with pytest.raises(SettingsError, match="other users can write the settings file"):
        settings.load(environ, project)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_group_of_the_user_alone_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import grp
    import pwd

    file = tmp_path / "hubtool.toml"
    file.touch()
    file.chmod(0o664)
    me = pwd.getpwuid(os.geteuid())
    user = pwd.struct_passwd(("ann", "x", 1000, *me[3:]))
    monkeypatch.setattr("pwd.getpwuid", lambda _: user)
    for name, members, refused in (("ann", [], False), ("ann", ["bob"], True), ("lab", [], True)):
        group = grp.struct_group((name, "x", 1000, members))
        monkeypatch.setattr("grp.getgrgid", lambda _, group=group: group)
        if refused:
            with pytest.raises(SettingsError, match="other users can write"):
                ownership.check_private(file, "the file")
        else:
            ownership.check_private(file, "the file")


def test_a_file_of_another_user_cannot_be_approved(
    places: tuple[Path, Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _, environ = places
    (project / "hubtool.toml").write_text(WIDENING)
    settings.approve(project / "hubtool.toml", environ)
    if os.geteuid() == 0:
        os.chown(project / "hubtool.toml", 4242, -1)
    else:
        monkeypatch.setattr("os.geteuid", lambda: 4242)
    current = settings.load(environ, project)
    assert {one.why for one in current.ignored} == {"the file belongs to another user"}
    with pytest.raises(SettingsError, match="belongs to another user"):
        settings.approve(project / "hubtool.toml", environ)


def test_a_project_does_not_lift_what_the_user_set(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, user, environ = places
    (user / "hubtool.toml").write_text('offline = true\nlock = "mine.lock"\n')
    (project / "hubtool.toml").write_text('offline = false\nlock = "theirs.lock"\n')
    current = settings.load(environ, project)
    assert current.offline
    assert current.lock == user / "mine.lock"
    assert [one.key for one in current.ignored] == ["lock", "offline"]


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_approvals_that_others_can_write_approve_nothing(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, user, environ = places
    (project / "hubtool.toml").write_text(WIDENING)
    settings.approve(project / "hubtool.toml", environ)
    assert settings.load(environ, project).ignored == ()
    (user / "approved.json").chmod(0o666)
    with pytest.raises(SettingsError, match="approvals"):
        settings.load(environ, project)


def test_approvals_that_cannot_be_read_approve_nothing(places: tuple[Path, Path, dict[str, str]]) -> None:
    project, user, environ = places
    (project / "hubtool.toml").write_text(WIDENING)
    for content in (b"{", b"[" * 100_000, b'{"a": 1}', b"[]"):
        (user / "approved.json").write_bytes(content)
        with pytest.raises(SettingsError, match="approvals"):
            settings.load(environ, project)
