"""The commands of ``python -m maintain``. Each one parses, calls and renders, as those of :mod:`hubtool.cli` do."""
