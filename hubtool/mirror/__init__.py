"""Mirrors: registries with all their assets, as static files that any web server or object store can hold.

::

    index.json                       a published registry's index; written last
    index/<shard>-<digest>.json      the facts of each card, and its assets with whole digests and sizes
    cards/<uid>.md                   the cards
    blobs/sha256/ab/<digest>         the assets, under their own SHA-256; written once and never changed

A sync (:mod:`hubtool.mirror.sync`) first plans (:mod:`hubtool.mirror.plan`), then brings what is missing
(:mod:`hubtool.mirror.worker`), and writes cards and index. A destination (:mod:`hubtool.mirror.destination`) is a
folder or an object store.
"""
