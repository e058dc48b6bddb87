"""Audits: do the links and repositories that cards name still hold what the cards say?

- :mod:`~hubtool.audit.plan` gathers what the cards say into a list of distinct links and repositories.
- :mod:`~hubtool.audit.probe` and :mod:`~hubtool.audit.repositories` look at each of them once.
- :mod:`~hubtool.audit.schedule` limits the requests to each host.
- :mod:`~hubtool.audit.state` keeps what was seen.
- :mod:`~hubtool.audit.judge` compares it with the cards and with what was seen before.
"""
