"""Mirrors: whole registries with their assets, as static files that any web server or object store can hold.

::

    index.json                       a published registry's index; written last
    index/<shard>-<digest>.json      of each card its facts, and its assets with whole digests and sizes
    cards/<uid>.md                   the cards
    blobs/sha256/ab/<digest>         the assets, under their own SHA-256; written once and never changed

What is to be done is planned without touching anything (:mod:`hubtool.mirror.plan`), and then done
(:mod:`hubtool.mirror.sync`) on one of two kinds of destinations (:mod:`hubtool.mirror.folder`,
:mod:`hubtool.mirror.objects`).
"""
