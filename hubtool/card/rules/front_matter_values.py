"""HT2xx: what values mean: names of the vocabularies, dates, metrics, status, and the UID."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from typing import TYPE_CHECKING

from hubtool.card import architectures, labels, metrics, schema, vocabulary
from hubtool.card.model import Asset, strip_brackets
from hubtool.card.rules.base import rule, shown
from hubtool.diagnostics import Severity
from hubtool.errors import InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubtool.card.finding import Finding
    from hubtool.card.rules.context import Context


VERSION_KEYS = ("model-version", "mindspore-version")
_FIELDS = frozenset({"audio", "cv", "mm", "nlp"})


@rule("HT209", Severity.WARNING, fixes=True)
def unknown_task(context: Context) -> Iterator[Finding]:
    """The task (`module-type`) is in the vocabulary.

    A search for a task finds only cards that spell it in the same way. The vocabulary is
    `vocabularies/tasks.json`: a field such as `nlp`, or a field and a task in it such as `cv-object_detection`. `--fix`
    writes the known name for another spelling of it.
    """
    yield from _of_vocabulary(context, "module-type", "task", vocabulary.task, "tasks")


@rule("HT210", Severity.WARNING, fixes=True)
def unknown_dataset(context: Context) -> Iterator[Finding]:
    """The training data set is in the vocabulary.

    The public hub writes one data set in many ways (`imagenet2012`, `ImageNet2012`, `ImageNet`), and a search for one
    misses the others. The vocabulary is `vocabularies/datasets.json`; several data sets are joined by `_`. `--fix`
    writes the known name for another spelling of it. If the data set is not there yet, add it.
    """
    key = "train-dataset"
    value = context.text(key)
    if value is None or vocabulary.says_nothing(value) or vocabulary.dataset(value):
        yield from _of_vocabulary(context, key, "data set", vocabulary.dataset, "datasets")
        return
    for part, known in vocabulary.datasets(value):
        if known is None:
            near = vocabulary.load("datasets").nearest(part)
            yield context.at(
                f"/{key}",
                f"the data set {shown(part)} is not in the vocabulary",
                hint=f"did you mean '{near[0]}'?" if near else "add it to the vocabulary, vocabularies/datasets.json",
            )


@rule("HT211", Severity.WARNING, fixes=True)
def licence_not_spdx(context: Context) -> Iterator[Finding]:
    """The licence is an SPDX expression.

    Tools that check licences know `Apache-2.0`, but not `Apache2.0` or `Apache 2.0`. Write a licence that SPDX does not
    list as `LicenseRef-` and a name. `--fix` writes the identifier for the spellings of `vocabularies/licences.json`.
    """
    yield from _of_vocabulary(context, "license", "licence", vocabulary.licence, "licences")


@rule("HT220", Severity.WARNING)
def unknown_architecture(context: Context) -> Iterator[Finding]:
    """The architecture is in the table of architectures.

    Search, the catalogue and the task of a card that only names a field depend on it. The table is
    `vocabularies/architectures.json`. `model-name` or `backbone-name` is an architecture there, another spelling of
    one, or a model that is listed with one. If it is not there yet, add it.
    """
    model, backbone = context.text("model-name"), context.text("backbone-name")
    if model is None or vocabulary.says_nothing(model) or architectures.of_card(model, backbone or "") is not None:
        return
    near = architectures.nearest(model) or (architectures.nearest(backbone) if backbone else None)
    yield context.at(
        "/model-name",
        f"the architecture of the model {shown(model)} is not known",
        hint=(f"if it is {near}, add" if near else "add its architecture with")
        + " this name to the table, vocabularies/architectures.json",
    )


@rule("HT221", Severity.WARNING)
def unknown_pipeline_task(context: Context) -> Iterator[Finding]:
    """The pipeline task (`task`) is in the vocabulary.

    Lists, searches and `hubtool run` go by its exact name. The vocabulary is `vocabularies/pipeline-tasks.json`, with
    the names that the field uses, such as `image-classification`.
    """
    value = context.text("task")
    if value is None or value in architectures.tasks():
        return
    named = architectures.find_tasks(value)
    near = named[0] if named else next(iter(difflib.get_close_matches(value[:100], architectures.tasks(), n=1)), None)
    yield context.at(
        "/task",
        f"the task {shown(value)} is not in the vocabulary",
        hint=f"did you mean '{near}'?" if near else "the vocabulary is vocabularies/pipeline-tasks.json",
    )


@rule("HT222", Severity.WARNING)
def unknown_architecture_name(context: Context) -> Iterator[Finding]:
    """The `architecture` is a name of the table of architectures.

    It is written as in `vocabularies/architectures.json`, which is how the paper writes it: `ResNet`, and not
    `resnet50`, which is a model of this architecture.
    """
    value = context.text("architecture")
    if value is None or value in architectures.architectures():
        return
    found = architectures.find(value)
    near = found.name if found is not None else architectures.nearest(value)
    yield context.at(
        "/architecture",
        f"the architecture {shown(value)} is not in the table",
        hint=f"did you mean '{near}'?" if near else "add it to the table, vocabularies/architectures.json",
    )


@rule("HT223", Severity.WARNING)
def unknown_labels(context: Context) -> Iterator[Finding]:
    """The labels are a list that comes with hubtool, or an asset of the card.

    `labels: imagenet-1k` is the file of this name in `vocabularies/labels`; `labels: {asset: NAME}` is the asset with
    this file name. Without the list, the classes that a network finds have numbers only. A network that gives more
    numbers than the list has labels states `labels: {vocabulary: imagenet-1k, classes: 1001}`: its first numbers are
    those of the list.
    """
    value, pointer = context.text("labels"), "/labels"
    stated = context.values.get("labels")
    if isinstance(stated, dict) and isinstance(stated.get("vocabulary"), str):
        value, pointer = stated["vocabulary"], "/labels/vocabulary"
    if value is not None and pointer not in context.violated and value not in labels.known():
        near = labels.nearest(value)
        yield context.at(
            pointer,
            f"there is no list of labels {shown(value)}",
            hint=f"did you mean '{near}'?" if near else f"the lists are {', '.join(labels.known())}",
        )
    asset = stated.get("asset") if isinstance(stated, dict) else None
    if not isinstance(asset, str) or "/labels/asset" in context.violated:
        return
    links = [link for _, one in context.assets if isinstance(link := one.get("asset-link"), str)]
    files = [Asset(format="", link=strip_brackets(link), digest=None).file_name for link in links]
    if asset not in files:
        yield context.at(
            "/labels/asset",
            f"the card has no asset {shown(asset)}",
            hint=f"its assets are {', '.join(files)}" if files else "add the asset, with its digest",
        )


@rule("HT224", Severity.WARNING)
def only_a_field(context: Context) -> Iterator[Finding]:
    """A card whose `module-type` is only a field, such as `cv`, says what the model does in `task`.

    A field says nothing about what goes in and comes out, and nobody searches for it. Write one of the names of
    `vocabularies/pipeline-tasks.json`. A model of an architecture that does several things with its data set, such as
    boxes and masks, needs none.
    """
    value = context.text("module-type")
    known = vocabulary.task(value) if value is not None else None
    if known not in _FIELDS or context.text("task") is not None:
        return
    derived = architectures.tasks_of(
        architectures.of_card(context.text("model-name") or "", context.text("backbone-name") or ""),
        known,
        context.text("train-dataset") or "",
    )
    if len(derived) > 1:
        return
    yield context.at(
        "/module-type",
        f"{known!r} is only a field, and no 'task' says what the model does",
        hint=f"add a line 'task: {derived[0] if derived else '...'}', a name of vocabularies/pipeline-tasks.json",
    )


def _of_vocabulary(
    context: Context, key: str, noun: str, find: Callable[[str], str | None], name: str
) -> Iterator[Finding]:
    value = context.text(key)
    if value is None or vocabulary.says_nothing(value):
        return
    known = find(value)
    pointer = f"/{key}"
    if known is None:
        near = vocabulary.load(name).nearest(value)
        unlisted = f"the vocabulary is vocabularies/{name}.json" if name != "licences" else "see spdx.org/licenses"
        yield context.at(
            pointer,
            f"the {noun} {shown(value)} is not {'an SPDX expression' if name == 'licences' else 'in the vocabulary'}",
            hint=f"did you mean '{near[0]}'?" if near else unlisted,
        )
    elif known != value:
        yield context.at(
            pointer,
            f"the {noun} {shown(value)} is written {shown(known)}",
            hint=f"write '{known}'",
            fix=context.rewrite(pointer, known),
        )


@rule("HT217", Severity.ERROR)
def status_without_reason(context: Context) -> Iterator[Finding]:
    """A status has a reason, and a successor has a status.

    Users of a deprecated or withdrawn card must decide what to do, and need to know why: a withdrawn licence calls for
    another decision than a better model. `hubtool deprecate` and `hubtool withdraw` write the three entries together.
    Without `status`, the other two mean nothing.
    """
    if "status" in context.values:
        reason = context.text("status-reason")
        if reason is None or vocabulary.says_nothing(reason):
            yield context.at(
                "/status",
                "the card does not say why: 'status-reason' is missing",
                hint="add a line 'status-reason: ...'",
            )
        return
    for key in ("superseded-by", "status-reason"):
        if key in context.values:
            yield context.at(
                f"/{key}",
                f"there is {key!r}, but no 'status'",
                hint="add a line 'status: deprecated' or 'status: withdrawn', or remove this line",
                key=True,
            )


@rule("HT218", Severity.ERROR)
def successor_that_is_no_uid(context: Context) -> Iterator[Finding]:
    """A successor is the UID of another card.

    Users look the successor up by its UID. Write `publisher/version/name`, and not the card's own UID.
    """
    value = context.values.get("superseded-by")
    if not isinstance(value, str):
        return
    hint = "write the UID of the card to use instead, such as mindspore/1.9/resnet50_imagenet2012"
    try:
        uid = Uid.parse(value)
    except InvalidNameError as error:
        yield context.at("/superseded-by", error.message, hint=hint)
        return
    if uid == context.uid:
        yield context.at("/superseded-by", "the card names itself as its successor", hint=hint)


_DATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})\Z")


def parse_date(text: str) -> dt.date | None:
    """Return the date that a text such as ``2022-8-1`` gives, or None."""
    match = _DATE.match(text)
    try:
        return dt.date(int(match["year"]), int(match["month"]), int(match["day"])) if match else None
    except ValueError:
        return None


@rule("HT212", Severity.ERROR)
def impossible_date(context: Context) -> Iterator[Finding]:
    """The date exists.

    There is no 2022-02-30, and dates before 1990 or after 2100 are mistakes. Write the day of the last update.
    """
    value = context.text("update-time")
    if value is not None:
        date = parse_date(value)
        if date is None or not 1990 <= date.year <= 2100:
            yield context.at("/update-time", f"there is no date {value}", hint="write the day of the last update")


@rule("HT213", Severity.WARNING, fixes=True)
def date_not_iso(context: Context) -> Iterator[Finding]:
    """The date has two digits for month and day: 2022-08-01.

    Such dates sort as text, and YAML readers recognise them. `--fix` adds the zeros.
    """
    value = context.text("update-time")
    date = parse_date(value) if value is not None else None
    if date is not None and value != date.isoformat():
        yield context.at(
            "/update-time",
            f"the date {value} is written {date.isoformat()}",
            hint=f"write '{date.isoformat()}'",
            fix=context.rewrite("/update-time", date.isoformat()),
        )


@rule("HT214", Severity.WARNING)
def unreadable_evaluation(context: Context) -> Iterator[Finding]:
    """The evaluation can be read as metrics.

    `F1score96.07` and `top1acc76.97 | top5acc93.44` are readable: each metric is a name and a number, separated by `|`.
    Numbers in other forms appear in no list and no comparison.
    """
    for part in metrics.of_values({"evaluation": context.text("evaluation")}).unread:
        yield context.at(
            "/evaluation",
            f"{shown(part)} is not a metric",
            hint="write a name and a number, such as top1acc76.97, and '|' between several",
        )


@rule("HT215", Severity.WARNING, fixes=True)
def says_nothing(context: Context) -> Iterator[Finding]:
    """An entry that states nothing is left out.

    Tools that list data sets read `train-dataset: N/A` as a data set named N/A. Leave out entries that are unknown or
    do not apply. `--fix` removes the entry if it is optional.
    """
    for key, value in context.values.items():
        if not isinstance(value, str) or not vocabulary.says_nothing(value) or not context.text(key):
            continue
        optional = key in schema.known_keys() and key not in schema.required_keys()
        yield context.at(
            f"/{schema.escape(key)}",
            f"'{key[:80]}' is {shown(value)}, which states nothing",
            hint="remove the entry" if optional else "write the correct value",
            fix=context.remove(key) if optional else None,
        )


@rule("HT216", Severity.WARNING)
def uid_unlike_facts(context: Context) -> Iterator[Finding]:
    """The parts of the UID, which are the card's path, agree with the front matter.

    The version in the UID is the `mindspore-version`, or the `model-version`, and the publisher is the `user-id`. A
    card in the wrong folder is found under a version that it is not for. Move the card, or correct the entry.
    """
    if context.uid is None or context.front_matter is None:
        return
    versions = [value for key in VERSION_KEYS if (value := context.text(key))]
    if len(versions) == len(VERSION_KEYS) and context.uid.version not in versions:
        yield context.at(
            "/mindspore-version",
            f"the card is in the folder of version {context.uid.version}, but is for version {versions[1]}",
            hint="move the card, or correct the version",
        )
    publisher = context.text("user-id")
    if publisher and vocabulary.fold(publisher) != vocabulary.fold(context.uid.publisher):
        yield context.at(
            "/user-id",
            f"the card is in the folder of {context.uid.publisher}, but its publisher is {shown(publisher)}",
            hint="move the card, or correct the publisher",
        )
