"""Made-up Chinese sentences with persons (PER), places (LOC) and organisations (ORG), for the embedded model.

All words and templates were written for this project. What is held out is never trained on: a made-up name belongs to
one side for good, by a checksum of its text (of its stem, where it has one), and each template to one list. Real places
are on the side of training.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

LABELS: Final = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "<START>", "<STOP>")
HELD_OUT_SHARE: Final = 8  # one name in so many


def _lists() -> dict[str, list[str]]:
    """Read the lists of words and templates."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in Path(__file__).with_name("toyner_words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            name = line[2:]
            found[name] = []
        elif name and line:
            found[name] += [line] if name.endswith(("TEMPLATES", "PLAIN")) else line.split()
    return found


_LISTS: Final = _lists()
SURNAMES: Final = "".join(_LISTS["SURNAMES"])  # the most frequent first
COMPOUND_SURNAMES: Final = _LISTS["COMPOUND_SURNAMES"]
GIVEN: Final = "".join(_LISTS["GIVEN"])
FOREIGN: Final = "".join(_LISTS["FOREIGN"])
FAMOUS: Final = _LISTS["FAMOUS"]
PLACES: Final = _LISTS["PLACES"]
PLACE_STEMS: Final = "".join(_LISTS["PLACE_STEMS"])
PLACE_ENDS: Final = _LISTS["PLACE_ENDS"]
ORG_STEMS: Final = "".join(_LISTS["ORG_STEMS"])
FAMOUS_ORGS: Final = _LISTS["FAMOUS_ORGS"]
ORG_KINDS: Final = _LISTS["ORG_KINDS"]
PUBLIC_KINDS: Final = _LISTS["PUBLIC_KINDS"]
TIMES: Final = _LISTS["TIMES"]
JOBS: Final = _LISTS["JOBS"]
WORDS: Final = _LISTS["WORDS"]
ADJECTIVES: Final = _LISTS["ADJECTIVES"]
VERBS: Final = _LISTS["VERBS"]
SINGLE: Final = _LISTS["SINGLE"]  # verbs, adverbs and particles of one character
#: {P} person, {L} place, {O} organisation, {X} any of them or a word; {T} time, {J} job, {W} word, {V} verb,
#: {C} verb, adverb or particle of one character, {A} adjective, {N} number.
TEMPLATES: Final = _LISTS["TEMPLATES"]
#: Bare patterns of a sentence, filled with any verb: many contexts, if not always sensible ones.
FRAMES: Final = _LISTS["FRAMES_TEMPLATES"]
#: Sentences without an entity.
PLAIN: Final = _LISTS["PLAIN"]
#: Never trained on.
HELD_OUT_TEMPLATES: Final = _LISTS["HELD_OUT_TEMPLATES"]
HELD_OUT_PLAIN: Final = _LISTS["HELD_OUT_PLAIN"]
_REAL: Final = (*FAMOUS, *PLACES)
OPENINGS: Final = (*TIMES, "据说", "听说", "其实", "但是", "因为", "所以", "虽然", "如果", "有一天", "同时", "另外")
ENDINGS: Final = ("", "", "。", "。", "。", "！", "？", "，", "…", "；")


@dataclass(frozen=True)
class Sentence:
    """A sentence with its entities, each (type, begin, end); the end is exclusive."""

    text: str
    entities: tuple[tuple[str, int, int], ...]


def held_out(name: str) -> bool:
    """Say whether a name belongs to the held-out side; always the same for the same name."""
    return zlib.crc32(name.encode()) % HELD_OUT_SHARE == 0


class Writer:
    """Write sentences of one side, out of one stream of random numbers.

    Args:
        stream: Where the random choices come from.
        held: Whether to write held-out sentences: other templates, other names.
        rare: Characters to put into some names, so that every one of the vocabulary is met now and then.
    """

    def __init__(self, stream: random.Random, *, held: bool, rare: str = "") -> None:
        self._random = stream
        self._held = held
        self._rare = rare
        self._templates = HELD_OUT_TEMPLATES if held else TEMPLATES
        self._plain = HELD_OUT_PLAIN if held else PLAIN

    def _mine(self, name: str) -> bool:
        return held_out(name) == self._held

    def _sprinkle(self, text: str, share: float) -> str:
        if not self._rare or self._random.random() >= share:
            return text
        place = self._random.randrange(len(text))
        return text[:place] + self._random.choice(self._rare) + text[place + 1 :]

    def person(self) -> str:
        """Make up a person's name."""
        pick = self._random
        while True:
            kind = pick.random()
            if kind < 0.08:
                name = "".join(pick.choices(FOREIGN, k=pick.randint(2, 4)))
                if pick.random() < 0.5:
                    name += "·" + "".join(pick.choices(FOREIGN, k=pick.randint(2, 4)))
            elif kind < 0.12:
                name = pick.choice("小老阿") + pick.choice(SURNAMES if pick.random() < 0.6 else GIVEN)
            else:
                # The most frequent surnames stand first, and are drawn more often.
                surname = pick.choice(SURNAMES[:60] if pick.random() < 0.5 else SURNAMES)
                if pick.random() < 0.06:
                    surname = pick.choice(COMPOUND_SURNAMES)
                count = 2 if pick.random() < 0.72 else 1
                given = self._sprinkle("".join(pick.choices(GIVEN, k=count)), 0.12)
                if count == 2 and pick.random() < 0.05:
                    given = given[0] * 2
                name = surname + given
            # 金华 and 黄山 could be people, but as places they are trained on.
            if self._mine(name) and not (self._held and name in _REAL):
                return name

    def place(self) -> str:
        """Choose a place, or make one up; held-out ones are all made up, as a known map is no test."""
        pick = self._random
        while True:
            kind = pick.random()
            if kind < 0.15 and not self._held:
                return pick.choice(FAMOUS) + (pick.choice("市省区") if pick.random() < 0.1 else "")
            if kind < 0.5 and not self._held:
                stem = pick.choice(PLACES)
                whole = stem + (pick.choice("省市县州") if pick.random() < 0.15 and len(stem) < 4 else "")
            else:
                stem = self._sprinkle("".join(pick.choices(PLACE_STEMS, k=2 if pick.random() < 0.8 else 1)), 0.3)
                end = pick.choice(PLACE_ENDS)
                if len(stem) == 1 and len(end) == 1 and end not in "县州江河山岛":
                    continue
                whole = stem + end
                # By its first two characters, which say the same of a name however it was put together.
                if not self._mine(whole[:2]) or stem in _REAL or whole in _REAL:
                    continue
            if pick.random() < 0.12:
                return pick.choice(_REAL) + pick.choice(("", "省", "市")) + whole
            return whole

    def organisation(self) -> str:
        """Choose an organisation, or make one up."""
        pick = self._random
        while True:
            kind = pick.random()
            if kind < 0.15:
                name = pick.choice(FAMOUS_ORGS)
                # The first two are what readers will try, and stay on the side of training.
                if (name in FAMOUS_ORGS[:2] and not self._held) or (name not in FAMOUS_ORGS[:2] and self._mine(name)):
                    return name
            elif kind < 0.6:
                stem = self._sprinkle("".join(pick.choices(ORG_STEMS, k=2 if pick.random() < 0.8 else 3)), 0.3)
                if self._mine(stem):
                    return (self._namesake() if pick.random() < 0.35 else "") + stem + pick.choice(ORG_KINDS)
            else:
                name = self._namesake() + pick.choice(PUBLIC_KINDS)
                if name not in FAMOUS_ORGS and self._mine(name):
                    return name

    def _namesake(self) -> str:
        """Choose a place that an organisation is called after."""
        pick = self._random
        if pick.random() < 0.75:
            return pick.choice(FAMOUS * 4 + PLACES) + (pick.choice("省市") if pick.random() < 0.25 else "")
        return "".join(pick.choices(PLACE_STEMS, k=2)) + pick.choice(("", "市", "县", "区", "省", "镇"))

    def _number(self) -> str:
        pick = self._random
        kind = pick.random()
        if kind < 0.4:
            return str(pick.randint(1, 99))
        if kind < 0.7:
            return str(pick.randint(100, 3000))
        return "".join(pick.choices("一二三四五六七八九十百千万两几", k=pick.randint(1, 3)))

    def _fill(self, template: str) -> Sentence:
        text: list[str] = []
        length = 0
        found: list[tuple[str, int, int]] = []
        names = {"P": ("PER", self.person), "L": ("LOC", self.place), "O": ("ORG", self.organisation)}
        words = {"T": TIMES, "J": JOBS, "W": WORDS, "V": VERBS, "C": SINGLE, "A": ADJECTIVES}
        for number, part in enumerate(template.replace("}", "{").split("{")):
            filled = piece = part
            if number % 2:  # between two braces
                if piece == "X":
                    piece = self._random.choices("PLOW", (4, 2, 2, 2))[0]
                if piece in names:
                    kind, make = names[piece]
                    filled = make()
                    found.append((kind, length, length + len(filled)))
                elif piece == "N":
                    filled = self._number()
                else:
                    filled = self._random.choice(words[piece])
                    if not self._held:
                        filled = self._sprinkle(filled, 0.1)
            text.append(filled)
            length += len(filled)
        return Sentence("".join(text), tuple(found))

    def _clause(self) -> Sentence:
        pick = self._random
        templates = self._plain if pick.random() < 0.12 else self._templates
        if not self._held and pick.random() < 0.4:
            templates = FRAMES
        sentence = self._fill(pick.choice(templates))
        if pick.random() < 0.15 and not self._held:
            opening = pick.choice(OPENINGS)
            opening += pick.choice(("", "，"))
            sentence = Sentence(
                opening + sentence.text, tuple((k, b + len(opening), e + len(opening)) for k, b, e in sentence.entities)
            )
        return sentence

    def _blur(self, sentence: Sentence) -> Sentence:
        """Put any characters in the place of some that are not of a name.

        There are more words than any list holds. A network that has met unknown characters in names only would take
        every unknown one for a name.
        """
        if not self._rare:
            return sentence
        share = self._random.choices((0.0, 0.1, 0.3, 0.8), (5, 3, 2, 1))[0]
        named = {place for _, begin, end in sentence.entities for place in range(begin, end)}
        text = [
            self._random.choice(self._rare) if place not in named and self._random.random() < share else char
            for place, char in enumerate(sentence.text)
        ]
        return Sentence("".join(text), sentence.entities)

    def sentence(self, longest: int) -> Sentence:
        """Write a sentence of one or more clauses, and of at most so many characters."""
        pick = self._random
        while True:
            whole = self._clause()
            while pick.random() < (0.85 if longest > 60 else 0.25):
                more = self._clause()
                joint = pick.choice("，。；，、") if pick.random() < 0.9 else ""
                shift = len(whole.text) + len(joint)
                if shift + len(more.text) > longest - 1:
                    break
                whole = Sentence(
                    whole.text + joint + more.text,
                    (*whole.entities, *((k, b + shift, e + shift) for k, b, e in more.entities)),
                )
            text = whole.text + pick.choice(ENDINGS)
            if len(text) <= longest:
                return self._blur(Sentence(text, whole.entities))


def tags(sentence: Sentence, length: int) -> list[int]:
    """Return the tags of an encoded sentence, ``[CLS]`` first, padded to a length with ``O``."""
    found = [0] * length
    for kind, begin, end in sentence.entities:
        found[begin + 1] = LABELS.index(f"B-{kind}")
        for place in range(begin + 1, end):
            found[place + 1] = LABELS.index(f"I-{kind}")
    return found


def characters() -> list[str]:
    """Return the characters of the vocabulary, the most ordinary Chinese ones and what stands between them."""
    # GB 2312 orders its first level, the 3,755 most frequent characters, in rows 16 to 55 of 94.
    level = [bytes((row + 0xA0, cell + 0xA0)) for row in range(16, 56) for cell in range(1, 95)]
    common = "".join(pair.decode("gb2312", errors="ignore") for pair in level)
    marks = "，。！？；：、“”‘’（）《》【】—…·～,.!?;:'\"()<>-_/%&+=#@*0123456789abcdefghijklmnopqrstuvwxyz"
    written = "".join(word for words in _LISTS.values() for word in words)
    more = "琪涵瑶昊睿妍婷晗璇珂嫣瑾瑜晟煜炜钰彬俞岚菡芸茜萱雯霖骏嘉邕泸衢亳漯濮荥淄莒鄞甬粤冀豫鄂皖赣闽琼渝喵咖啡嗨"
    seen = dict.fromkeys(marks + common + written + more)
    return [char for char in seen if not char.isspace() and char not in "{}" and not ("A" <= char <= "Z")]
