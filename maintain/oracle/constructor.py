"""Call a package's documented constructor: ``python constructor.py JOB``; the record goes to ``HUBTOOL_ANSWER``.

The process has nothing of hubtool's, no bridge either: it does what a user of the package would do.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maintain.oracle import answers
else:
    import answers  # Python looks in the folder of this file first


def mindcv(configuration: Path, model_name: str) -> tuple[Any, Mapping[str, Any]]:
    """Make a network as ``validate.py`` of MindCV does.

    Args:
        configuration: The configuration file of the model.
        model_name: The name of the model, if the configuration is that of a variant.

    Returns:
        The network, and what differs from the recipe's inputs.
    """
    import mindcv as package  # noqa: PLC0415
    import yaml  # noqa: PLC0415

    settings = yaml.safe_load(configuration.read_text(encoding="utf-8"))
    known = package.list_models()
    name = model_name if model_name in known else settings["model"]
    network = package.create_model(name, num_classes=settings.get("num_classes", 1000), pretrained=False)
    side = int(settings.get("image_resize", 224))
    return network, {"shape": [1, 3, side, side]}


def mindyolo(configuration: Path, _: str) -> tuple[Any, Mapping[str, Any]]:
    """Make a network as ``test.py`` of MindYOLO does; see :func:`mindcv`."""
    from mindyolo.models.model_factory import create_model  # noqa: PLC0415
    from mindyolo.utils.config import Config, load_config  # noqa: PLC0415

    settings = Config(load_config(str(configuration))[0])
    network = create_model(
        model_name=settings.network.model_name,
        model_cfg=settings.network,
        num_classes=settings.data.nc,
        sync_bn=False,
    )
    side = int(settings.img_size)
    return network, {"shape": [1, 3, side, side]}


def mindocr(configuration: Path, _: str) -> tuple[Any, Mapping[str, Any]]:
    """Make a network as ``tools/eval.py`` of MindOCR does; see :func:`mindcv`."""
    import yaml  # noqa: PLC0415
    from addict import Dict  # noqa: PLC0415
    from mindocr.models.builder import build_model  # noqa: PLC0415

    settings = Dict(yaml.safe_load(configuration.read_text(encoding="utf-8")))
    settings.model.backbone.pretrained = False
    return build_model(settings.model), {}


CONSTRUCTORS = {"mindcv": mindcv, "mindyolo": mindyolo, "mindocr": mindocr}


def main() -> None:
    """Do the job, and end without waiting for threads that the code started."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pipe = int(os.environ.pop("HUBTOOL_ANSWER"))
    # What imports by a plain name must not find the files beside this one.
    sys.path = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent]

    def say(record: dict[str, Any]) -> None:
        os.write(pipe, json.dumps(record).encode() + b"\n")

    try:
        import mindspore as ms  # noqa: PLC0415

        ms.set_context(mode=ms.PYNATIVE_MODE)
        constructor = CONSTRUCTORS[job["entry"]]
        configuration = Path(job["folder"], job["argv"][0])
        network, inputs = constructor(configuration, job["arguments"]["model_name"])
        networks = answers.ScriptNetworks()
        networks.take(network, "load")
        job["inputs"] = [{**one, **inputs} for one in job["inputs"]]
        say(answers.answer(ms, answers.load_rule(job["rule"]), networks, job, say=say))
    except BaseException as error:  # noqa: BLE001 - the code may raise anything, SystemExit too, and the record says what
        folder = getattr(sys.modules.get(job["entry"]), "__path__", [""])[0]
        say({"reason": answers.failure(error, str(folder))})
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
