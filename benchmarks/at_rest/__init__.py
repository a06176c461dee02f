"""A linear forward map at rest, or at query time with one stored number an item.

At rest every stored old vector o is rewritten as ``f(o) / |f(o)|`` with ``f(o) = o W + b``, and a
query q scores ``q . f(o) / |f(o)|``. The same map at query time leaves the old vectors as they
are: ``q . f(o) = (W q) . o + q . b``, so the store searches them with ``W q``, and the score is
divided by a number stored with the item, its *length* ``|f(o)|``. Over all items the two are the
same score, which is asserted here; but a store searches by inner product, so it is the K best of
the score not divided that are divided and ranked.

For each suite and seed, `forward_ridge` without labels, one encoder, random order:

1. Curves over full rankings at rest, at query time, not divided, and divided by the mean length
   of the gallery: gain share and worst point in the suite's metric.
2. Of k = 10 results: the share of the ten best that are among the K = 10 F best not divided, at
   coverage 0, and the gain share in nDCG@10 if the store gives K items of the old side at every
   coverage. The same with a *tilted* query, that leans to short images: one over the length is
   regressed on the items' old vectors, and its slope, by the level of the query's scores in a
   sample of the items, is added to ``W q``.
3. For the first seed, what either costs in the embedded store: mapping and writing, an index of
   the mapped vectors, a query. One number an item is written by the engine's payload operation,
   and by a ``put`` of the whole item, the only way that the stores' contract has.

The mapped vectors lie in the d_old + 1 dimensions that W and b span. Where these are fewer than
d_new, the *narrow* form, their coordinates there, gives the scores of at rest, too (asserted).

    python -m benchmarks.at_rest [SUITE ...] [--seeds 3] [--queries 2000]

A SUITE is a name of ``crossfade bench list`` or a folder with fit.npz, gallery.npz, ...
"""
