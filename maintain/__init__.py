"""What maintainers of hubtool run or ran once: importing the public hub, and finding recipes.

It belongs to a checkout and is not in the wheel: ``python -m maintain --help``. hubtool imports nothing of it.
"""
