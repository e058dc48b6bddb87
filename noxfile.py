"""What a developer runs, each in an environment of its own: ``nox`` lists it, ``nox -s tests`` runs one session."""

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=["3.10", "3.11", "3.12"])
def tests(session: nox.Session) -> None:
    """Run the tests that a change needs; arguments go to pytest."""
    session.install("--editable", ".[dev]")
    session.run("pytest", "--quiet", "-n", "auto", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and floors."""
    session.install("--editable", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into ``site/``; a warning is an error."""
    session.install("--editable", ".[docs]")
    session.run("mkdocs", "build", "--strict")
