"""Isolation: code of a model under a private name, and nothing left behind."""

from __future__ import annotations

import builtins
import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from hubtool.errors import NetworkError
from hubtool.networks.isolation.argument_parser import ArgumentsRefusedError
from hubtool.networks.isolation.namespace import CodeExitError, Namespace
from tests.support.models import write

ROOT = Path(__file__).parents[3]


def opened(folder: Path, files: dict[str, str], identity: str = "") -> Namespace:
    write(folder, files)
    namespace = Namespace.open(folder, folder, identity=identity or str(folder))
    namespace.argv[:] = ["run.py"]
    return namespace


def load(namespace: Namespace, name: str) -> Any:
    with namespace.building():
        return namespace.load(name)


CLASHING = {
    "src/__init__.py": "",
    "src/a.py": """
        import config
        import src.b
        import importlib
        from src import b
        from . import b as dotted
        from .b import VALUE
        import model_utils.tools as tools

        assert src.b is b is dotted is __import__("src.b").b
        assert b is importlib.import_module("src.b") is importlib.import_module(".b", "src")
        def late():
            import src.c
            from src import c
            from model_utils.tools import NAME
            return src.c.VALUE, c.VALUE, NAME, config.NAME
        class Thing:
            pass
        """,
    "model_utils/tools.py": "NAME = {!r}\n",
}


def clashing(name: str) -> dict[str, str]:
    files = {path: text.replace("{!r}", repr(name)) for path, text in CLASHING.items()}
    return {
        **files,
        "src/b.py": f"VALUE = {name!r}\n",
        "src/c.py": f"VALUE = {name!r}\n",
        "config.py": f"NAME = {name!r}\n",
    }


def test_two_models_with_the_same_names_live_in_one_process(tmp_path: Path) -> None:
    one = load(opened(tmp_path / "one", clashing("one")), "src.a")
    two = load(opened(tmp_path / "two", clashing("two")), "src.a")
    assert one.VALUE == "one"
    assert two.VALUE == "two"
    # Lazy imports run long after, in another thread as well.
    found: list[Any] = []
    threads = [threading.Thread(target=lambda module=module: found.append(module.late())) for module in (one, two, one)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [("one",) * 4] * 2 + [("two",) * 4]
    assert "src" not in sys.modules
    assert "config" not in sys.modules


def test_instances_are_pickled_by_their_private_name(tmp_path: Path) -> None:
    module = load(opened(tmp_path, clashing("one")), "src.a")
    thing = pickle.loads(pickle.dumps(module.Thing()))  # noqa: S301 - pickled just here
    assert type(thing) is module.Thing


def test_the_private_name_follows_from_the_identity(tmp_path: Path) -> None:
    first = opened(tmp_path, {"a.py": ""}, identity="same")
    first_name = first.name
    first.close()
    assert opened(tmp_path, {}, identity="same").name == first_name
    assert opened(tmp_path, {}, identity="other").name != first_name


@pytest.mark.mindspore  # they are NumPy and MindSpore
def test_the_real_modules_are_not_shadowed(tmp_path: Path) -> None:
    wrong = "raise RuntimeError('the wrong module')\n"
    names = ("mindspore", "sitecustomize", "usercustomize", "os", "sys", "builtins", "numpy", "hubtool")
    files = {f"{name}.py": wrong for name in names}
    namespace = opened(
        tmp_path,
        {**files, "model.py": "import os, sys, builtins, hubtool\nimport numpy as np\nassert np.zeros(2).sum() == 0\n"},
    )
    load(namespace, "model")
    for name in names:
        assert not namespace.owns(name)


def test_a_module_of_the_folder_comes_before_an_installed_one_for_its_own_code_only(tmp_path: Path) -> None:
    module = load(opened(tmp_path, {"yaml.py": "MINE = 1\n", "model.py": "import yaml\nMINE = yaml.MINE\n"}), "model")
    import yaml

    assert module.MINE == 1
    assert hasattr(yaml, "safe_load")


def test_a_folder_without_init_is_a_package_and_installed_ones_come_first(tmp_path: Path) -> None:
    files = {
        "parts/deep/leaf.py": "X = 1\n",
        "requests/nothing.py": "",
        "model.py": "import parts.deep.leaf as leaf\nimport requests\nOK = requests.get\n",
    }
    assert load(opened(tmp_path, files), "model").leaf.X == 1


def test_a_path_that_the_code_adds_counts_within_the_folder_only(tmp_path: Path) -> None:
    write(tmp_path / "outside", {"secret.py": "X = 1\n"})
    files = {
        "lib/helper.py": "X = 2\n",
        "model.py": """
            import sys
            sys.path.append("lib")
            sys.path.insert(0, "..")
            sys.path.insert(0, "../outside")
            import helper
            try:
                import secret
            except ImportError:
                secret = None
            """,
    }
    before = list(sys.path)
    module = load(opened(tmp_path / "model", files), "model")
    assert module.helper.X == 2
    assert module.secret is None
    assert sys.path == before


def test_a_link_out_of_the_folder_is_not_imported_from(tmp_path: Path) -> None:
    write(tmp_path / "outside", {"secret.py": "X = 1\n"})
    write(tmp_path / "model", {"ok.py": ""})
    (tmp_path / "model" / "lib").symlink_to(tmp_path / "outside")
    module = load(
        opened(
            tmp_path / "model",
            {
                "m.py": """
                    import sys
                    sys.path.append("lib")
                    try:
                        import secret
                    except ImportError:
                        secret = None
                    """
            },
        ),
        "m",
    )
    assert module.secret is None


def test_relative_imports_end_at_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match="beyond"):
        load(opened(tmp_path, {"src/__init__.py": "", "src/a.py": "from ...x import y\n"}), "src.a")


def test_missing_modules_and_circular_imports(tmp_path: Path) -> None:
    namespace = opened(
        tmp_path,
        {
            "a.py": "import b\nX = 1\n",
            "b.py": "import a\ndef f():\n    return a.X\n",
            "c.py": "import no_such_module_x\n",
        },
    )
    assert load(namespace, "a").b.f() == 1
    with pytest.raises(ModuleNotFoundError, match="no_such_module_x"):
        load(namespace, "c")
    with pytest.raises(ModuleNotFoundError, match="d"):
        load(namespace, "d")


DISTURB = """
import argparse, builtins, logging, os, random, signal, sys, warnings
import numpy as np
sys.argv.append("mine")
sys.path.insert(0, "/nowhere")
os.environ["HUBTOOL_TEST"] = "1"
os.environ.pop("PATH")
os.chdir("/")
os.makedirs("/hubtool-was-here/x", exist_ok=True)
random.seed(1)
np.random.seed(1)
np.set_printoptions(precision=1)
warnings.simplefilter("ignore")
logging.basicConfig(level=1)
logging.disable(logging.CRITICAL)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
builtins.mine = 1
sys.stdout = sys.stderr = __import__("io").StringIO()
sys.setrecursionlimit(9999)
print("noise")
"""


@pytest.mark.mindspore  # the code that disturbs uses NumPy, which comes with it
@pytest.mark.parametrize(
    "end",
    ["", "1 / 0", "sys.exit(3)", "exit()", "raise KeyboardInterrupt", "argparse.ArgumentParser().parse_args(['--x'])"],
)
def test_everything_is_as_before(tmp_path: Path, end: str, capsys: pytest.CaptureFixture[str]) -> None:
    import logging
    import random
    import signal

    import numpy as np

    namespace = opened(tmp_path, {"run.py": DISTURB + end + "\n"})

    def state() -> tuple[object, ...]:
        return (
            list(sys.argv), list(sys.path), list(sys.meta_path), dict(os.environ), Path.cwd(), random.getstate(),
            str(np.random.get_state()),  # noqa: NPY002 - the state that old code changes
            np.get_printoptions()["precision"], list(warnings.filters), logging.root.level, list(logging.root.handlers),
            logging.root.manager.disable, signal.getsignal(signal.SIGTERM), sys.stdout, sys.stderr,
            sys.getrecursionlimit(), set(vars(builtins)),
            {name for name in sys.modules if not name.startswith("_hubtool_code")},
        )  # fmt: skip

    before = state()
    expected = {"": None, "1 / 0": ZeroDivisionError, "raise KeyboardInterrupt": KeyboardInterrupt}.get(
        end, CodeExitError
    )
    if expected is None:
        with namespace.building():
            namespace.run("run.py")
    else:
        with pytest.raises(expected), namespace.building():
            namespace.run("run.py")
    assert state() == before
    assert not Path("/hubtool-was-here").exists()
    assert capsys.readouterr() == ("", "")


MEDDLING = """
import atexit, gc, json, locale, logging, os, resource, signal, socket, subprocess, sys, threading, types
import hubtool.resolution.trust as trust, hubtool.networks.package as package
from hubtool.store import store

def evil(*args, **kwargs):
    raise AssertionError("left behind")

json.loads = evil
json.JSONDecoder.decode = evil
subprocess.Popen.__init__ = evil
os.umask(0o777)
sys.excepthook = threading.excepthook = sys.unraisablehook = evil
signal.signal(signal.SIGUSR1, evil)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
socket.setdefaulttimeout(0.001)
sys.setswitchinterval(1.0)
gc.disable()
gc.callbacks.append(evil)
sys.setprofile(lambda *_: None)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
logging.setLoggerClass(type("Evil", (logging.Logger,), {}))
sys.modules["requests_of_evil"] = types.ModuleType("requests_of_evil")
atexit.register(evil)
trust.decide = evil
trust.TrustList.add = evil
trust.DEFAULTS += ("evil.example",)
trust.repository_name.__code__ = evil.__code__
trust.planted = evil
store.Store.find = evil
package.PACKAGES += ("os",)
package.open_package.__defaults__ = (evil,)
os.dup2(os.open(os.devnull, os.O_RDWR), 0)
"""


def test_hubtool_and_the_process_are_as_before(tmp_path: Path) -> None:
    """Run in a process of its own: what is left behind would be this one's."""
    (tmp_path / "net.py").write_text(MEDDLING)
    program = f"""
import atexit, gc, json, os, resource, signal, socket, subprocess, sys, threading
from pathlib import Path
from hubtool.resolution import trust
from hubtool.store import store
from hubtool.networks import package
from hubtool.networks.isolation.namespace import Namespace

def state():
    old = os.umask(0); os.umask(old)
    return {{
        "json": json.loads, "decoder": json.JSONDecoder.decode, "popen": subprocess.Popen.__init__, "umask": old,
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook), "profile": sys.getprofile(),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "timeout": socket.getdefaulttimeout(), "interval": sys.getswitchinterval(),
        "gc": (gc.isenabled(), list(gc.callbacks)), "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "logger": __import__("logging").getLoggerClass(), "fake": "requests_of_evil" in sys.modules,
        "stdin": os.fstat(0).st_ino,
        "trust": (trust.decide, trust.TrustList.add, trust.DEFAULTS, sorted(vars(trust))),
        "code": trust.repository_name.__code__,
        "store": store.Store.find, "package": (package.PACKAGES, package.open_package.__defaults__),
    }}

folder = Path({str(tmp_path)!r})
before = state()
namespace = Namespace.open(folder, folder, identity="evil")
with namespace.building():
    namespace.load("net")
after = state()
changed = [name for name in before if before[name] != after[name]]
assert not changed, changed
"""
    done = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "left behind" not in done.stderr  # what was registered with atexit does not run


def test_scripts_see_their_own_arguments_and_are_the_main_program(tmp_path: Path) -> None:
    script = """
        import argparse, sys
        parser = argparse.ArgumentParser()
        parser.add_argument("--n", type=int, required=True)
        if __name__ == "__main__":
            RESULT = parser.parse_args().n, sys.argv[0]
        """
    namespace = opened(tmp_path, {"run.py": script})
    namespace.argv[:] = ["run.py", "--n", "3"]
    with namespace.building():
        module = namespace.run("run.py")
    assert module.RESULT == (3, "run.py")
    namespace.argv[:] = ["run.py"]
    with pytest.raises(CodeExitError, match="--n"), namespace.building():
        namespace.run("run.py")


def test_code_that_leaves_threads_running_is_an_error(tmp_path: Path) -> None:
    script = "import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait, daemon=True).start()\n"
    namespace = opened(tmp_path, {"run.py": script})
    module = None
    with pytest.raises(NetworkError, match="threads running"), namespace.building():
        module = namespace.run("run.py")
    assert module is not None
    module.stop.set()


def test_what_the_tree_cannot_ask_for(tmp_path: Path) -> None:
    namespace = opened(tmp_path, {"ask.py": "input('name? ')\n"})
    with pytest.raises(EOFError):
        load(namespace, "ask")
    with pytest.raises(NetworkError, match="no script"), namespace.building():
        namespace.run("../other.py")
    with pytest.raises(NetworkError, match="no folder"):
        Namespace.open(tmp_path / "gone", tmp_path / "gone", identity="x")
    with pytest.raises(NetworkError, match="not within"):
        Namespace.open(tmp_path / "..", Path("/"), identity="x")
    assert ArgumentsRefusedError("x").code == 2


def test_skipped_statements_leave_a_stand_in(tmp_path: Path) -> None:
    script = """
        def read():
            raise OSError
        rows, self_ = read(), [0]
        for row in read():
            count = row
        with open("/nowhere") as stream:
            text = stream.read()
        DONE = [row for row in rows]
        """
    write(tmp_path, {"run.py": script})
    namespace = Namespace.open(tmp_path, tmp_path, identity="skip")
    namespace.skip = frozenset({"run.py:3", "run.py:4", "run.py:6"})
    with namespace.building():
        module = namespace.run("run.py")
    assert module.DONE == []
    with pytest.raises(TypeError):
        int(module.text)


def test_a_pickle_is_read_in_another_process_once_the_code_is_loaded_there(tmp_path: Path) -> None:
    program = f"""
import pickle, sys
from pathlib import Path
from hubtool.networks.isolation.namespace import Namespace
namespace = Namespace.open(Path({str(tmp_path / "m")!r}), Path({str(tmp_path / "m")!r}), identity="pickled")
with namespace.building():
    module = namespace.load("src.a")
path = Path(sys.argv[1])
if path.exists():
    assert type(pickle.loads(path.read_bytes())) is module.Thing
else:
    path.write_bytes(pickle.dumps(module.Thing()))
"""
    write(tmp_path / "m", clashing("one"))
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "p")],
            check=True,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
