"""Settings: from variables, from ``hubtool.toml`` of the project and of the user, and the defaults, in this order.

The project's file is the nearest ``hubtool.toml`` in the working folder or above it; the user's is in the platform's
folder for configuration. Relative paths in a file are relative to that file.

A project's file can come from anyone, in a clone, an archive or a shared folder. Without approval it can therefore only
restrict: ``[validate]``, ``offline = true``, and ``lock`` if the user has none. Its other settings are in force only if
the file belongs to the user and the user approved it (:mod:`hubtool.approval`).
"""

from __future__ import annotations

import difflib
import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import approval, ownership, regular, resources, toml
from hubtool.errors import ArgumentError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE_NAME = "hubtool.toml"
DEFAULT_HOSTS = ("download.mindspore.cn", "download-mindspore.osinfra.cn", "gitee.com", "github.com")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateSettings:
    """What ``hubtool validate`` reports: the table ``[validate]``.

    Attributes:
        select: Codes of rules to report, or their beginnings; empty for all.
        ignore: Codes of rules not to report.
        folders: Folders, each with the codes not to report for cards below it (``[validate.folders]``).
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    folders: tuple[tuple[Path, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredSetting:
    """A setting of the project's file that is not in force.

    Attributes:
        key: Its key in the file.
        file: The file.
        why: The reason.
    """

    key: str
    file: Path
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its value and its origin.

    Attributes:
        registry: Registry folders, in the order in which they are asked (``HUBTOOL_REGISTRY``).
        home: The folder of the store (``HUBTOOL_HOME``).
        stores: Folders of other stores and of mirrors that are read after ``home`` and never written
            (``HUBTOOL_STORES``).
        offline: Whether hubtool must not use the network (``HUBTOOL_OFFLINE``).
        allowed_hosts: The hosts that assets can come from (``HUBTOOL_ALLOWED_HOSTS`` adds to the defaults). A host
            written with its scheme, such as ``http://lab:8080``, is a service of the user's own network.
        mirrors: Addresses or folders of mirrors, asked by digest in this order before a file's own link
            (``HUBTOOL_MIRRORS``, separated by commas).
        lock: The lockfile that pins everything that is loaded, or None (``HUBTOOL_LOCK``).
        blobs: The folder or bucket that ``hubtool publish`` uploads to, or None (``HUBTOOL_BLOBS``).
        link_base: The beginning of the links of files there, or None (``HUBTOOL_LINK_BASE``).
        validate: What ``hubtool validate`` reports.
        origins: The origin of each setting's value, by its name.
        ignored: The settings of the project's file that are not in force.
    """

    registry: tuple[Path, ...]
    home: Path
    stores: tuple[Path, ...]
    offline: bool
    allowed_hosts: tuple[str, ...]
    mirrors: tuple[str, ...] = ()
    lock: Path | None = None
    blobs: str | None = None
    link_base: str | None = None
    validate: ValidateSettings = ValidateSettings()
    origins: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[IgnoredSetting, ...] = ()

    def called(self, name: str) -> str:
        """Return the name of a setting for messages: its variable, or its file and key."""
        places = [one for one in self.origins.get(name, "default").split(" + ") if one != "default"]
        key = name.replace("_", "-")
        named = [one.removeprefix("variable ") if one.startswith("variable ") else f"{one}: '{key}'" for one in places]
        return " and ".join(named) or f"'{key}'"


@dataclass(frozen=True, slots=True)
class _Source:
    """One source of settings: the variables, or a file."""

    name: str
    values: Mapping[str, Any]
    folder: Path
    digest: str = ""

    def called(self, key: str) -> str:
        """Return the name of a setting of this source for messages."""
        return _VARIABLES[key] if self.name == "variable" else f"{self.name}: '{key}'"


def load(environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Settings:
    """Read the settings that are in force.

    Args:
        environ: The environment variables; by default those of this process.
        cwd: The working folder; by default that of this process.

    Raises:
        SettingsError: If a file cannot be read, or a value cannot be used; the message names the variable, or the file
            and the key.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    project, user = project_source(cwd), _user_source(environ)
    project, ignored = (None, ()) if project is None else _narrowed(project, user, environ)
    sources = [source for source in (_variables(environ, cwd), project, user) if source is not None]
    origins: dict[str, str] = {}

    def pick(key: str, read: Callable[[Any, _Source, str], Any], default: Callable[[], Any]) -> Any:  # noqa: ANN401 - each key has its own type
        for source in sources:
            if key in source.values:
                origins[key.replace("-", "_")] = _origin(source, key)
                return read(source.values[key], source, key)
        origins[key.replace("-", "_")] = "default"
        return default()

    registry = pick("registry", _registries, lambda: (resources.registry_folder(),))
    home = pick("home", _path, _default_home)
    stores = pick("stores", _stores, tuple)
    offline = pick("offline", _flag, lambda: False)
    mirrors = pick("mirrors", _mirrors, tuple)
    lock = pick("lock", _path, lambda: None)
    blobs = pick("blobs", _place, lambda: None)
    link_base = pick("link-base", _text, lambda: None)
    hosts = list(DEFAULT_HOSTS)
    added = [source for source in sources if "allowed-hosts" in source.values]
    for source in added:
        hosts.extend(
            host for host in _hosts(source.values["allowed-hosts"], source, "allowed-hosts") if host not in hosts
        )
    origins["allowed_hosts"] = " + ".join(["default", *(_origin(source, "allowed-hosts") for source in added)])
    validate = pick("validate", _validate, ValidateSettings)
    return Settings(
        registry=registry,
        home=home,
        stores=stores,
        offline=offline,
        allowed_hosts=tuple(hosts),
        validate=validate,
        mirrors=mirrors,
        lock=lock,
        blobs=blobs,
        link_base=link_base,
        origins=origins,
        ignored=ignored,
    )


_VARIABLES = {
    "registry": "HUBTOOL_REGISTRY",
    "home": "HUBTOOL_HOME",
    "stores": "HUBTOOL_STORES",
    "offline": "HUBTOOL_OFFLINE",
    "allowed-hosts": "HUBTOOL_ALLOWED_HOSTS",
    "mirrors": "HUBTOOL_MIRRORS",
    "lock": "HUBTOOL_LOCK",
    "blobs": "HUBTOOL_BLOBS",
    "link-base": "HUBTOOL_LINK_BASE",
}


_NARROWING = ("validate", "offline", "lock")
_MAX_FILE_BYTES = 1 << 20


def _origin(source: _Source, key: str) -> str:
    return f"variable {_VARIABLES[key]}" if source.name == "variable" else source.name


def _variables(environ: Mapping[str, str], cwd: Path) -> _Source:
    values = {key: environ[name] for key, name in _VARIABLES.items() if environ.get(name)}
    return _Source("variable", values, cwd)


def project_file(cwd: Path) -> Path | None:
    """Return the nearest settings file in a folder or above it, or None."""
    return next((folder / FILE_NAME for folder in (cwd, *cwd.parents) if (folder / FILE_NAME).is_file()), None)


def project_source(cwd: Path) -> _Source | None:
    """Read the project's file, whether or not it is approved."""
    path = project_file(cwd)
    return None if path is None else _file(path)


def _user_source(environ: Mapping[str, str]) -> _Source | None:
    path = user_file(environ)
    if not path.is_file():
        return None
    ownership.check_private(path, "the settings file")
    return _file(path)


def _narrowed(
    project: _Source, user: _Source | None, environ: Mapping[str, str]
) -> tuple[_Source | None, tuple[IgnoredSetting, ...]]:
    """Return a project's file with the settings in force, and the settings that are ignored.

    None if it is the user's own file, or a link to it: through a link, relative paths keep their meaning.
    """
    path = project.folder / FILE_NAME
    if user is not None and path.resolve() == user_file(environ).resolve():
        return None, ()
    doubt = approval.doubt(path, project.digest, approval.file(user_file(environ)))
    if doubt is None:
        return project, ()
    ignored = {}
    for key, value in project.values.items():
        if key == "offline" and not _flag(value, project, key):
            ignored[key] = f"{doubt}, and can only turn 'offline' on"
        elif key == "lock" and user is not None and "lock" in user.values:
            ignored[key] = f"{doubt}, and {user.name} names a lockfile"
        elif key not in _NARROWING:
            ignored[key] = doubt
    values = {key: value for key, value in project.values.items() if key not in ignored}
    return replace(project, values=values), tuple(
        IgnoredSetting(key=key, file=path, why=why) for key, why in sorted(ignored.items())
    )


def approve(path: Path, environ: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Approve a project's settings file as it is now; return its settings.

    Raises:
        SettingsError: If it cannot be read, belongs to another user, or the approvals cannot be written.
    """
    source, approvals = _file(path.absolute()), approval.file(user_file(environ))
    if not ownership.is_own(path.stat()):
        raise SettingsError(
            f"{path} belongs to another user, who could change it at any time",
            hint="copy what you need into your own file; 'hubtool settings' shows where that is",
        )
    approval.write(approvals, {**approval.read(approvals), approval.place(path): source.digest})
    return source.values


def revoke(path: Path, environ: Mapping[str, str] | None = None) -> bool:
    """Withdraw the approval of a project's settings file; return whether there was one.

    Raises:
        SettingsError: If the approvals cannot be read or written.
    """
    approvals = approval.file(user_file(environ))
    known = approval.read(approvals)
    if known.pop(approval.place(path), None) is None:
        return False
    approval.write(approvals, known)
    return True


def user_file(environ: Mapping[str, str] | None = None) -> Path:
    """Return the path of the user's own settings file, which need not exist."""
    environ = os.environ if environ is None else environ
    if os.name == "posix" and environ.get("XDG_CONFIG_HOME"):
        return Path(environ["XDG_CONFIG_HOME"], "hubtool", FILE_NAME)
    import platformdirs  # noqa: PLC0415 - not needed if variables set everything

    return Path(platformdirs.user_config_dir("hubtool", appauthor=False)) / FILE_NAME


def expand_user(text: str | Path) -> Path:
    """Return a path with ``~`` as the user's home.

    Raises:
        ArgumentError: If there is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ArgumentError(
            f"{str(text)[:200]!a}: there is no such user here", hint="write the path without ~"
        ) from None


def _default_home() -> Path:
    import platformdirs  # noqa: PLC0415 - not needed where HUBTOOL_HOME is set

    return Path(platformdirs.user_cache_dir("hubtool", appauthor=False))


def _file(path: Path) -> _Source:
    try:
        content = regular.read_bytes(path, _MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise SettingsError(f"{path} has more than {_MAX_FILE_BYTES:,} bytes", hint="settings are a few lines")
        values = toml.parse(content.decode())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
    except ValueError as error:  # wrong TOML, or not UTF-8
        raise SettingsError(f"{path} is not TOML: {error}", hint="correct or remove the file") from error
    _check_keys(values, (*_VARIABLES, "validate"), str(path))
    return _Source(str(path), values, path.parent, hashlib.sha256(content).hexdigest())


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise SettingsError(
                f"{where}: the setting {key!r} is not known",
                hint=f"did you mean '{near[0]}'?" if near else f"the settings are {', '.join(known)}",
            )


def _validate(value: object, source: _Source, key: str) -> ValidateSettings:
    if not isinstance(value, dict):
        raise SettingsError(f"{source.called(key)} is {value!r}, but must be a table", hint="write [validate]")
    _check_keys(value, ("select", "ignore", "folders"), f"{source.name}: validate")
    folders = value.get("folders", {})
    if not isinstance(folders, dict):
        raise SettingsError(
            f"{source.called('validate.folders')} is {folders!r}, but must be a table",
            hint='write [validate.folders] and lines such as "registry/drafts" = ["HT4"]',
        )
    return ValidateSettings(
        select=tuple(_list(value.get("select", []), ",", source, "validate.select")),
        ignore=tuple(_list(value.get("ignore", []), ",", source, "validate.ignore")),
        folders=tuple(
            (
                _path(folder, source, "validate.folders").resolve(),
                tuple(_list(codes, ",", source, f"validate.folders.{folder}")),
            )
            for folder, codes in folders.items()
        ),
    )


def _list(value: object, separator: str, source: _Source, key: str) -> list[str]:
    if isinstance(value, str):
        value = value.split(separator)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{source.called(key)} is {value!r}, but must be a list of texts")
    return [item.strip() for item in value if item.strip()]


def _registries(value: object, source: _Source, key: str) -> tuple[Path, ...]:
    items = _list(value, os.pathsep, source, key)
    if not items:
        raise SettingsError(f"{source.called(key)} names no folder")
    return tuple(_path(item, source, key) for item in items)


def _stores(value: object, source: _Source, key: str) -> tuple[Path, ...]:
    return tuple(_path(item, source, key) for item in _list(value, os.pathsep, source, key))


def _path(value: object, source: _Source, key: str) -> Path:
    if not isinstance(value, str) or "\0" in value:
        raise SettingsError(f"{source.called(key)} is {value!r}, which is not a path")
    try:
        return source.folder / expand_user(value)
    except ArgumentError:
        raise SettingsError(
            f"{source.called(key)} is {value!r}, and there is no such user here", hint="write the path without ~"
        ) from None


def _text(value: object, source: _Source, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{source.called(key)} is {value!r}, which is not text")
    return value.strip()


def _place(value: object, source: _Source, key: str) -> str:
    """Read an address or a folder; a relative folder is relative to the file that names it."""
    text = _text(value, source, key)
    return text if "://" in text else str(_path(text, source, key))


def _flag(value: object, source: _Source, key: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise SettingsError(f"{source.called(key)} is {value!r}, which is neither yes nor no", hint="write 1 or 0")


def _hosts(value: object, source: _Source, key: str) -> list[str]:
    hosts = [item.lower() for item in _list(value, ",", source, key)]
    for host in hosts:
        scheme, separator, name = host.rpartition("://")
        if (separator and scheme not in ("http", "https")) or "/" in name or "*" in host or "@" in host or " " in host:
            raise SettingsError(
                f"{source.called(key)}: {host!r} is not a host name",
                hint="write host names such as example.org, separated by commas",
            )
    return hosts


def _mirrors(value: object, source: _Source, key: str) -> tuple[str, ...]:
    """Read addresses and folders; a relative folder is relative to the file that names it."""
    items = _list(value, ",", source, key)
    for item in items:
        if "@" in item.partition("://")[2].partition("/")[0]:
            raise SettingsError(
                f"{source.called(key)}: a mirror holds a login",
                hint="remove it from the address, and put it into ~/.netrc",
            )
    return tuple(item if "://" in item else str(_path(item, source, key)) for item in items)
