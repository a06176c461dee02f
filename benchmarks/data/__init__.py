"""Real embedding pairs, built from packages and cached.

python -m benchmarks.data.fashion     Fashion-MNIST, two pairs of small CNNs
python -m benchmarks.data.text        WordNet and Debian descriptions, GloVe, wordllama, MiniLM
python -m benchmarks.data.emoji       emoji of two vendors, HOG and EfficientNet-Lite0

Each writes folders below the cache (``.cache/benchmarks``, or ``CROSSFADE_CACHE``):
``fit.npz`` (what a method may learn from), ``gallery.npz``, and for separate queries
``queries.npz`` with ``qrels.txt``. Install ``benchmarks/requirements.txt`` first.
"""
