"""Audits: whole registries against the world.

What the cards say is gathered and planned (:mod:`~hubtool.audit.plan`), each distinct link and repository is looked at
once (:mod:`~hubtool.audit.look`, :mod:`~hubtool.audit.repositories`), gently (:mod:`~hubtool.audit.schedule`), what was
seen is kept (:mod:`~hubtool.audit.state`), and judged against the cards and what was seen before
(:mod:`~hubtool.audit.judge`).
"""
