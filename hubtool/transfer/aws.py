"""How an object store is reached, by the variables and files that every S3 client reads."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool import regular
from hubtool.errors import MirrorError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?\Z")
# With one of these, obstore finds the credentials itself.
_ELSEWHERE = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}


def configuration(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the variables and files say of credentials, region and endpoint, by obstore's names.

    Variables go first: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``,
    ``AWS_DEFAULT_REGION``, ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``; then the profile ``AWS_PROFILE`` (or
    ``default``) of the files ``AWS_SHARED_CREDENTIALS_FILE`` and ``AWS_CONFIG_FILE``, by default
    ``~/.aws/credentials`` and ``~/.aws/config``. With ``AWS_EC2_METADATA_DISABLED`` there must be some.

    Args:
        environ: The environment's variables.

    Raises:
        MirrorError: If a file cannot be read, or the named profile is in neither.
    """
    profile = environ.get("AWS_PROFILE") or "default"
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or ".")
    credentials = _section(Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials"), (profile,))
    # In the second file, and only there, profiles other than the default one are called "profile NAME".
    names = ("default", "profile default") if profile == "default" else (f"profile {profile}",)
    config = _section(Path(environ.get("AWS_CONFIG_FILE") or home / ".aws/config"), names)
    if environ.get("AWS_PROFILE") and credentials is None and config is None:
        raise MirrorError(f"there is no profile {profile!r}", hint="see AWS_PROFILE, ~/.aws/credentials, ~/.aws/config")
    stored = {**(config or {}), **(credentials or {})}
    found = {
        "region": environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or stored.get("region") or "us-east-1"
    }
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or stored.get("endpoint_url")
    if endpoint:
        if not _ENDPOINT.match(endpoint):
            raise MirrorError("AWS_ENDPOINT_URL is not a link", hint="write it as https://host:port")
        found["endpoint"] = endpoint
    if environ.get("AWS_ACCESS_KEY_ID"):
        names_of = {key.upper(): ours for key, ours in _KEYS.items()}
        return {**found, **{ours: environ[name] for name, ours in names_of.items() if environ.get(name)}}
    if not any(environ.get(name) for name in _ELSEWHERE):
        found.update({ours: stored[key] for key, ours in _KEYS.items() if stored.get(key)})
        if "access_key_id" not in found and any(
            key in stored for key in ("sso_session", "sso_start_url", "credential_process", "role_arn")
        ):
            raise MirrorError(
                f"the profile {profile!r} gets its credentials in a way that hubtool does not know",
                hint='put them into variables: eval "$(aws configure export-credentials --format env)"',
            )
        # Else obstore asks the machine that this one runs on, as in a cloud.
        if "access_key_id" not in found and environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise MirrorError(
                "there are no credentials for the object store",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            )
    return found


def _section(path: Path, names: tuple[str, ...]) -> dict[str, str] | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(regular.read_bytes(path).decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MirrorError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
    except (configparser.Error, UnicodeDecodeError):
        # What it quotes of the file may be a secret.
        raise MirrorError(f"{path} is not a file of profiles", hint="correct it, or use variables") from None
    found = [dict(parser.items(name)) for name in names if parser.has_section(name)]
    return found[0] if found else None
