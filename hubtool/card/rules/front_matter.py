"""HT2xx: the front matter."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hubtool.card import metrics, schema, vocabulary
from hubtool.card.finding import Edit, Finding, Fix
from hubtool.card.rules import yaml_fix
from hubtool.card.rules.base import rule, shown
from hubtool.card.rules.context import faults
from hubtool.diagnostics import Severity
from hubtool.errors import InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hubtool.card.rules.context import Context
    from hubtool.card.schema import Violation


@rule("HT201", Severity.ERROR, fixes=True)
def not_yaml(context: Context) -> Sequence[Finding]:
    """The front matter is YAML.

    An entry that a YAML parser cannot read is lost to every tool, and most tools then lose the whole card. The usual
    causes are a tab at the start of a line, a value that is a lone `-`, a value with `: ` in it, and a full-width
    colon: use spaces, leave the entry out, put the value in quotes, write `: `.

    `--fix` does the last three where the entry can be read afterwards. An entry `evaluation: -` is taken out, not put
    in quotes: it says that there is nothing to say, as its absence does, and `'-'` would be a metric of that name.
    Keys that are known in Chinese become the keys that they translate.
    """
    fixes: dict[Finding, Fix | None] = {}
    for entry in context.front_matter.broken if context.front_matter else ():
        fixes |= dict.fromkeys(entry.faults, yaml_fix.propose(entry.text, entry.offset))
    return [replace(fault, fix=fixes.get(fault)) for fault in faults(context, "HT201")]


@rule("HT202", Severity.ERROR)
def duplicate_key(context: Context) -> Sequence[Finding]:
    """A key stands once.

    YAML parsers disagree on which of two values counts. Keep one.
    """
    return faults(context, "HT202")


@rule("HT203", Severity.ERROR)
def too_deep(context: Context) -> Sequence[Finding]:
    """Front matter is nested at most 32 deep.

    Deeper text is a mistake or an attack on the parser; the same goes for an alias that contains itself.
    """
    return faults(context, "HT203")


@rule("HT204", Severity.ERROR)
def too_large(context: Context) -> Sequence[Finding]:
    """Front matter has at most 256 KiB, and at most 20,000 values with its aliases followed.

    More is a mistake or an attack ("YAML bomb"). Write values out instead of using aliases, and move long text to the
    body.
    """
    return faults(context, "HT204")


@rule("HT205", Severity.ERROR)
def missing_key(context: Context) -> Iterator[Finding]:
    """Every required key is there.

    The schema (`model-card.schema.json`) lists the required keys with what they mean. A missing digest of an asset is
    HT301, a missing repository HT504.
    """
    unread = context.front_matter.unread if context.front_matter else frozenset()
    for violation in context.violations:
        if violation.keyword != "required" or violation.key == "asset-sha256":
            continue
        if violation.pointer == "" and violation.key in unread:
            continue
        yield context.at(
            violation.pointer,
            f"the key '{violation.key}' is missing{_within(violation.pointer)}",
            hint=f"add a line '{violation.key}: ...'",
        )


# Comparing is slow, and who has more unknown keys than this has not misspelt them.
_MOST_COMPARED = 100


@rule("HT206", Severity.ERROR, fixes=True)
def unknown_key(context: Context) -> Iterator[Finding]:
    """Every key is one that the schema knows.

    A misspelt key is a fact that no tool finds. The message names the nearest known key; `--fix` writes it where the
    two differ in case and punctuation only (`Model_Name`), or one translates the other, and it is not there yet.
    """
    compared = 0
    for violation in context.violations:
        if violation.keyword != "additionalProperties" or violation.key is None:
            continue
        definition = "recipe" if violation.pointer == "/network" else "asset" if violation.pointer else None
        known = schema.known_keys(definition)
        pointer = f"{violation.pointer}/{schema.escape(violation.key)}"
        same = vocabulary.key(violation.key) if len(violation.key) < 100 else None
        near = [same] if same in known else []
        if not near and compared < _MOST_COMPARED:
            compared += 1
            near = _near(violation.key, known)
        fix = None
        if same in known and isinstance(violation.value, dict) and same not in violation.value and same is not None:
            start, end = context.front_matter.span(pointer, key=True) if context.front_matter else (0, 0)
            if context.document.text[start:end] == violation.key:
                fix = Fix(edits=(Edit(start, end, same),), title=f"write '{same}'")
        yield context.at(
            pointer,
            f"the key {shown(violation.key)} is not known{_within(violation.pointer)}",
            hint=f"did you mean '{near[0]}'?" if near else "the known keys are in the schema, with what they mean",
            fix=fix,
            key=True,
        )


@rule("HT207", Severity.ERROR, fixes=True)
def wrong_value(context: Context) -> Iterator[Finding]:
    """Every value has the type and the form that the schema asks for.

    A version is numbers with dots, a date is year-month-day, a flag is `true` or `false`, and no value is left empty.
    The digest of an asset is HT302, its link HT303. `--fix` writes `true` for `yes`, `ckpt` for `.CKPT`, `1.9` for
    `v1.9`, and `2022-10-11` for `2022/10/11`.
    """
    for violation in context.violations:
        if violation.keyword in ("required", "additionalProperties") or violation.pointer.endswith(
            ("/asset-sha256", "/asset-link")
        ):
            continue
        name = violation.pointer.rpartition("/")[2] or "the front matter"
        meant = _meant(violation, name)
        yield context.at(
            violation.pointer,
            f"'{name[:80]}' {_wrong(violation)}",
            hint=f"write {shown(meant)}" if meant else _hint(violation),
            fix=context.rewrite(violation.pointer, meant) if meant else None,
        )


_FLAGS = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}
_PREFIXED_VERSION = re.compile(r"[vVrR][ ]?(?P<version>[0-9]+(?:\.[0-9]+)*)\Z")
_OTHER_DATE = re.compile(r"(?P<year>[0-9]{4})[/.](?P<month>[0-9]{1,2})[/.](?P<day>[0-9]{1,2})\Z")


def _meant(violation: Violation, name: str) -> str | None:
    """Return what a wrong value must have meant, if nothing else can have been meant."""
    value = violation.value
    if not isinstance(value, str) or len(value) > 80:
        return None
    text = value.strip()
    if violation.keyword == "type" and violation.expected == "boolean":
        return _FLAGS.get(text.lower())
    if violation.keyword == "enum" and isinstance(violation.expected, list):
        folded = text.lower().lstrip(".")
        return folded if folded in violation.expected else None
    if violation.keyword == "pattern" and name.endswith("version"):
        match = _PREFIXED_VERSION.match(text)
        return match["version"] if match else None
    if violation.keyword == "pattern" and name == "update-time":
        match = _OTHER_DATE.match(text)
        iso = f"{match['year']}-{int(match['month']):02}-{int(match['day']):02}" if match else ""
        return iso if iso and _date(iso) else None
    return None


_VERSION_KEYS = ("model-version", "mindspore-version")


@rule("HT208", Severity.ERROR, fixes=True)
def version_read_as_number(context: Context) -> Iterator[Finding]:
    """A version that a YAML reader would change is in quotes.

    hubtool reads versions as the text that was written. Other readers, the public hub's own tools among them, read
    `mindspore-version: 1.10` as the number 1.1, and look for the model of another version. Write `'1.10'`, as `--fix`
    does. Versions that survive, such as `1.9`, need no quotes.
    """
    for key in _VERSION_KEYS:
        text = context.text(key)
        read = _as_number(text) if text else None
        if read is None or read == text:
            continue
        scalar = context.scalar(f"/{key}")
        if scalar is not None and not scalar.style:
            yield context.at(
                f"/{key}",
                f"'{key}' is {scalar.text}, which YAML readers take for the number {read}",
                hint=f"write '{scalar.text}', with the quotes",
                fix=Fix(
                    edits=(Edit(scalar.start, scalar.end, f"'{scalar.text}'"),), title=f"put {scalar.text} in quotes"
                ),
            )


_OCTAL = re.compile(r"0[0-7]+\Z")
_FLOAT = re.compile(r"[0-9]+\.[0-9]*\Z")


def _as_number(text: str) -> str | None:
    """Return what is left of a text that YAML 1.1 reads as a number, or None if it stays text."""
    if len(text) > 18:
        return None
    if _OCTAL.match(text):
        return str(int(text, 8))
    return str(float(text)) if _FLOAT.match(text) else None


@rule("HT209", Severity.WARNING, fixes=True)
def unknown_task(context: Context) -> Iterator[Finding]:
    """The task (`module-type`) is one of the vocabulary.

    A search for models of a task finds only those that name it in the same way. The vocabulary is
    `vocabularies/tasks.json`: a field such as `nlp`, or a field and a task in it such as `cv-object_detection`. `--fix`
    writes the known name for another spelling of it.
    """
    yield from _of_vocabulary(context, "module-type", "task", vocabulary.task, "tasks")


@rule("HT210", Severity.WARNING, fixes=True)
def unknown_dataset(context: Context) -> Iterator[Finding]:
    """The training data set is one of the vocabulary.

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

    Tools that check licences know `Apache-2.0`, and neither `Apache2.0` nor `Apache 2.0`. A licence that SPDX does not
    list is `LicenseRef-` and a name. `--fix` writes the identifier for the spellings of `vocabularies/licences.json`.
    """
    yield from _of_vocabulary(context, "license", "licence", vocabulary.licence, "licences")


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

    A user of a card that is deprecated or withdrawn has to decide what to do, and needs to know why: a licence
    that was withdrawn is another matter than a better model. `hubtool deprecate` and `hubtool withdraw` write the three
    entries together. Without `status`, the other two say nothing.
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
                hint="add a line 'status: deprecated' or 'status: withdrawn', or take this line out",
                key=True,
            )


@rule("HT218", Severity.ERROR)
def successor_that_is_no_uid(context: Context) -> Iterator[Finding]:
    """A successor is the UID of another card.

    Those who are told to use it look it up by that name. Write `publisher/version/name`, and not the card's own.
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


# Entries of free text, in which a '#' may be meant. Behind an identifier, a number or a date, a comment is one.
_FREE_TEXT = (
    "summary", "author", "evaluation", "train-dataset", "model-name", "backbone-name", "license", "used-for",
    "status-reason", "module-type", "user-id",
)  # fmt: skip
_COMMENT_BEHIND = re.compile(r"[ \t]+#[^\n]*")
_COMMENT_BEHIND_KEY = re.compile(r"[ \t]*:[ \t]+#[^\n]*")


@rule("HT219", Severity.WARNING)
def comment_behind_text(context: Context) -> Iterator[Finding]:
    """A text is not cut by a comment.

    A `#` behind a space begins a comment in YAML, so that `summary: Runs on A # B` says `Runs on A` and no more.
    Put the text in quotes if the `#` belongs to it: `summary: 'Runs on A # B'`. A comment that is meant goes on a line
    of its own. Comments behind numbers, dates and digests, and behind a licence, task or data set that is known, are
    taken as meant.
    """
    front_matter = context.front_matter
    text = context.document.text
    if front_matter is None or (" #" not in front_matter.text and "\t#" not in front_matter.text):
        return
    for key in _FREE_TEXT:
        entry = front_matter.entry(key)
        scalar = context.scalar(f"/{key}")
        if entry is None or scalar is None or scalar.style:
            continue
        if scalar.text:
            comment = _COMMENT_BEHIND.match(text, scalar.end)
        else:
            comment = _COMMENT_BEHIND_KEY.match(text, entry.offset + entry.key_node.end_mark.index)
        if comment is None or _is_whole(key, scalar.text):
            continue
        said = f"is cut to {shown(scalar.text)}" if scalar.text else "is empty"
        start = text.index("#", comment.start())
        yield Finding(
            offset=start,
            end=start + len(comment[0].rstrip()) - (start - comment.start()),
            pointer=f"/{key}",
            message=f"{key!r} {said}: YAML takes {shown(comment[0][comment[0].index('#') :].rstrip())} for a comment",
            hint="put the whole text in quotes; or write the comment on a line of its own",
        )


def _is_whole(key: str, value: str) -> bool:
    """Whether a value is known as it is, so that what stands behind it is no part of it."""
    known = {"license": vocabulary.licence, "module-type": vocabulary.task, "train-dataset": vocabulary.dataset}
    return key in known and known[key](value) is not None


_DATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})\Z")


def _date(text: str) -> dt.date | None:
    match = _DATE.match(text)
    try:
        return dt.date(int(match["year"]), int(match["month"]), int(match["day"])) if match else None
    except ValueError:
        return None


@rule("HT212", Severity.ERROR)
def impossible_date(context: Context) -> Iterator[Finding]:
    """The date is one of the calendar.

    There is no 2022-02-30, and no model was updated before 1990 or will be after 2100. Write the day of the last
    update.
    """
    value = context.text("update-time")
    if value is not None:
        date = _date(value)
        if date is None or not 1990 <= date.year <= 2100:
            yield context.at("/update-time", f"there is no date {value}", hint="write the day of the last update")


@rule("HT213", Severity.WARNING, fixes=True)
def date_not_iso(context: Context) -> Iterator[Finding]:
    """The date has two digits for month and day: 2022-08-01.

    So dates sort as text, and YAML readers take them for dates. `--fix` adds the zeros.
    """
    value = context.text("update-time")
    date = _date(value) if value is not None else None
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

    `F1score96.07` and `top1acc76.97 | top5acc93.44` can: each metric is a name and a number, and `|` is between them.
    Numbers in any other form are in no list and no comparison.
    """
    value = context.text("evaluation")
    if value is None or vocabulary.says_nothing(value):
        return
    for part in metrics.parse(value).unread:
        yield context.at(
            "/evaluation",
            f"{shown(part)} is not a metric",
            hint="write a name and a number, such as top1acc76.97, and '|' between several",
        )


@rule("HT215", Severity.WARNING, fixes=True)
def says_nothing(context: Context) -> Iterator[Finding]:
    """An entry that says nothing is left out.

    `train-dataset: N/A` is a data set named N/A to every tool that lists data sets. What is not known, or does not
    apply, is not written. `--fix` takes the entry out if it is optional.
    """
    for key, value in context.values.items():
        if not isinstance(value, str) or not vocabulary.says_nothing(value) or not context.text(key):
            continue
        optional = key in schema.known_keys() and key not in schema.required_keys()
        yield context.at(
            f"/{schema.escape(key)}",
            f"'{key[:80]}' is {shown(value)}, which says nothing",
            hint="leave the entry out" if optional else "write what is true",
            fix=context.remove(key) if optional else None,
        )


@rule("HT216", Severity.WARNING)
def uid_unlike_facts(context: Context) -> Iterator[Finding]:
    """The parts of the UID, which are the card's path, agree with the front matter.

    The version in the UID is the `mindspore-version`, or the `model-version`, and the publisher is the `user-id`. A
    card in the wrong folder is found under a version that it was not made for. Move the card, or correct the entry.
    """
    if context.uid is None or context.front_matter is None:
        return
    versions = [value for key in _VERSION_KEYS if (value := context.text(key))]
    if len(versions) == len(_VERSION_KEYS) and context.uid.version not in versions:
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


def _within(pointer: str) -> str:
    if pointer.startswith("/asset/"):
        return f" in asset {int(pointer.split('/')[2]) + 1}"
    return f" in '{pointer[1:]}'" if pointer else ""


def _near(text: str, known: Sequence[str]) -> list[str]:
    # Comparing takes time that grows with the length, and nothing that long is near.
    return difflib.get_close_matches(text, known, n=1) if len(text) < 100 else []


_TYPES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping of keys to values",
}


def _wrong(violation: Violation) -> str:
    if violation.value in ("", None):
        return "has no value"
    value = shown(violation.value)
    if violation.keyword == "type":
        kinds = [violation.expected] if isinstance(violation.expected, str) else violation.expected
        wanted = (
            " or ".join(_TYPES.get(str(kind), str(kind)) for kind in kinds) if isinstance(kinds, list) else str(kinds)
        )
        return f"is {value}, but must be {wanted}"
    if violation.keyword == "enum" and isinstance(violation.expected, list):
        return f"is {value}, but must be one of {', '.join(map(str, violation.expected))}"
    if violation.keyword == "minimum":
        return f"is {value}, but must be at least {violation.expected}"
    if violation.keyword in ("minItems", "minLength"):
        return "has no value"
    if violation.keyword == "maxLength":
        return f"is longer than {violation.expected} characters"
    return f"is {value}, which does not have the form that is asked for"


def _hint(violation: Violation) -> str | None:
    if violation.keyword == "enum" and isinstance(violation.expected, list):
        near = _near(str(violation.value)[:100].lower(), [str(choice) for choice in violation.expected])
        return f"did you mean '{near[0]}'?" if near else None
    if violation.value in ("", None):
        return "write the value, or leave the entry out if it is not required"
    name = violation.pointer.rpartition("/")[2]
    description = schema.description(name) or violation.description
    return f"expected: {description}" if description else None
