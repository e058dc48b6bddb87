"""Import: the cards of a public hub in, cards of ours out.

Facts are carried over and normalised; sentences are not: the text of a card is written anew, from its facts
(:mod:`.text`). What the source does not say, or says in a form that cannot be read, is reported and left out.
"""

from maintain.importing.run import Imported, ImportReport, import_cards

__all__ = ["ImportReport", "Imported", "import_cards"]
