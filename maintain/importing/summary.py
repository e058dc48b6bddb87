"""The line that says what a model is for, made of what its card states and of nothing else. Pure."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hubtool import wording
from hubtool.card import architectures, metrics, vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.architectures import PipelineTask

MOST_CHARACTERS = 200
# What a model of a task does; a task that is not here is called by its name.
_DOES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "automatic-speech-recognition": ("Writes down speech", "语音识别"),
        "audio-classification": ("Tags sounds", "音频标注"),
        "depth-estimation": ("Estimates the depth of images", "估计图像深度"),
        "face-detection": ("Detects faces in images", "检测图像中的人脸"),
        "face-recognition": ("Recognises faces", "人脸识别"),
        "image-classification": ("Classifies images", "图像分类"),
        "image-denoising": ("Removes noise from images", "图像去噪"),
        "image-deraining": ("Removes rain from images", "图像去雨"),
        "image-segmentation": ("Segments images", "图像分割"),
        "instance-segmentation": ("Finds objects and their outlines in images", "实例分割"),
        "object-detection": ("Detects objects in images", "检测图像中的目标"),
        "object-tracking": ("Tracks objects in videos", "跟踪视频中的目标"),
        "point-cloud-classification": ("Classifies point clouds", "点云分类"),
        "pose-estimation": ("Finds the joints of people in images", "估计图像中的人体姿态"),
        "question-answering": ("Answers questions about texts", "根据文本回答问题"),
        "re-identification": ("Tells whether images show the same person or vehicle", "行人与车辆重识别"),
        "semantic-segmentation": ("Gives each pixel of an image a class", "语义分割"),
        "sentiment-analysis": ("Tells the sentiment of texts", "文本情感分析"),
        "summarization": ("Summarises texts", "生成文本摘要"),
        "super-resolution": ("Enlarges images", "图像超分辨率"),
        "text-classification": ("Classifies texts", "文本分类"),
        "text-detection": ("Detects text in images", "检测图像中的文本"),
        "text-recognition": ("Reads text in images", "识别图像中的文字"),
        "text-to-image": ("Makes images of texts", "文生图"),
        "text-to-video": ("Makes videos of texts", "文生视频"),
        "token-classification": ("Finds names and other entities in texts", "命名实体识别"),
        "translation": ("Translates texts", "机器翻译"),
        "video-classification": ("Classifies videos", "视频分类"),
    }
)
# The tasks whose data sets have classes, and what is classified.
_CLASSIFIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "image-classification": ("images", "图像"),
        "video-classification": ("videos", "视频"),
        "text-classification": ("texts", "文本"),
        "point-cloud-classification": ("point clouds", "点云"),
    }
)
_YEAR = re.compile(r"(?<=[A-Za-z])20[0-9]{2}\Z")
_TOP = re.compile(r"top[-_ ]?(?P<rank>[15])(?:[-_ ]?acc(?:uracy)?)?\Z", re.IGNORECASE)


def summary(values: Mapping[str, Any], *, chinese: bool = False) -> str:
    """Return the summary of a card, without a full stop, of at most 200 characters.

    Args:
        values: Its front matter, with the facts about using its network.
        chinese: Whether it is written in Chinese.

    >>> summary({"model-name": "resnet50", "module-type": "cv", "train-dataset": "ImageNet2012",
    ...          "evaluation": "top1acc 76.97", "network": {"elements": 25612201}})
    'Classifies images into the 1,000 classes of ImageNet; ResNet-50, 25.6 M parameters, top-1 76.97 %'
    """
    does = _does(values, chinese=chinese)
    parts = [_name(values)]
    if elements := _elements(values):
        parts.append(f"{elements}参数" if chinese else f"{elements} parameters")
    scores = [_score(one) for one in metrics.of_values(values).metrics[:1]]
    comma, semicolon = ("，", "；") if chinese else (", ", "; ")
    for kept in ([*parts, *scores], parts, parts[:1]):
        text = f"{does}{semicolon}{comma.join(kept)}"
        if len(text) <= MOST_CHARACTERS:
            return text
    return parts[0][:MOST_CHARACTERS]


def _task(values: Mapping[str, Any]) -> PipelineTask | None:
    stated = values.get("task")
    found = architectures.tasks_of(
        _architecture(values),
        str(values.get("module-type", "")),
        str(values.get("train-dataset", "")),
        stated if isinstance(stated, str) else "",
    )
    # Of several that it may be, none is said.
    return architectures.tasks()[found[0]] if found and (len(found) == 1 or found[0] == stated) else None


def _architecture(values: Mapping[str, Any]) -> architectures.Architecture | None:
    return architectures.of_card(
        str(values.get("model-name", "")), str(values.get("backbone-name", "")), str(values.get("architecture") or "")
    )


def _does(values: Mapping[str, Any], *, chinese: bool) -> str:
    """Return what the model does, and with which data set."""
    task, text = _task(values), str(values.get("train-dataset") or "")
    sets = [] if vocabulary.says_nothing(text) else [known or written for written, known in vocabulary.datasets(text)]
    count = vocabulary.class_count(text) if len(sets) == 1 else None
    if task is not None and task.name in _CLASSIFIES and count is not None and _gives(values, count):
        what, name = _CLASSIFIES[task.name][chinese], _YEAR.sub("", sets[0])
        english = f"Classifies {what} into the {count:,} classes of {name}"
        return f"将{what}分为{name}的{count:,}个类别" if chinese else english
    if task is not None:
        english = task.english[:1].upper() + task.english[1:]
        does = _DOES.get(task.name, (english, task.chinese))[chinese]
    else:
        stated = str(values.get("module-type") or "")
        does = _field(stated, chinese=chinese)
    joined = ", ".join(sets)
    if not sets or len(joined) > MOST_CHARACTERS // 3:
        return does
    return f"{does}（{'、'.join(sets)}）" if chinese else f"{does} ({joined})"


def _field(module_type: str, *, chinese: bool) -> str:
    from hubtool.registry.phrases import task_words  # noqa: PLC0415 - for cards without a known task only

    words = task_words(module_type)[chinese] or module_type
    if not words:
        return "未注明任务" if chinese else "A task that is not stated"
    return words[:1].upper() + words[1:]


def _gives(values: Mapping[str, Any], count: int) -> bool:
    """Whether the network gives a number for each class, as far as its known answer says; one more is fine."""
    recipe = values.get("network")
    answer = recipe.get("known-answer") if isinstance(recipe, dict) else None
    outputs = answer.get("outputs") if isinstance(answer, dict) else None
    if not isinstance(outputs, list) or not outputs:
        return True
    shapes = [one.get("shape") for one in outputs if isinstance(one, dict)]
    return any(isinstance(shape, list) and shape and shape[-1] in {count, count + 1} for shape in shapes)


def _name(values: Mapping[str, Any]) -> str:
    """Return what the network is called: ``ResNet-50`` for ``resnet50``, else the architecture and the model."""
    model, architecture = str(values.get("model-name", "")), _architecture(values)
    if architecture is None:
        return model
    folded, base = vocabulary.fold(model), vocabulary.fold(architecture.name)
    if folded == base:
        return architecture.name
    depth = re.search(r"(?<![0-9])(?<![0-9][_.])[0-9]{2,3}\Z", model)
    if depth and folded == f"{base}{depth[0]}" and not architecture.name[-1].isdigit():
        return f"{architecture.name}-{depth[0]}"
    return f"{architecture.name} ({model})"


def _elements(values: Mapping[str, Any]) -> str:
    recipe = values.get("network")
    count = recipe.get("elements") if isinstance(recipe, dict) else None
    if type(count) is not int or count <= 0:
        return ""
    return wording.short_number(count)


def _score(metric: metrics.Metric) -> str:
    """Return a metric as people read it; an accuracy above 1 is in percent."""
    match = _TOP.match(metric.name)
    if match is None:
        return metrics.spelled(metric)
    unit = " %" if metric.unit == "%" or 1 < metric.number <= 100 else ""
    return f"top-{match['rank']} {metric.value}{unit}"
