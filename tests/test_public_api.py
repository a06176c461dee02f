"""What ``import crossfade`` gives, and what it never brings along."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib import metadata
from pathlib import Path

import numpy as np

import crossfade

# Optional, or needed by the command line alone.
HEAVY = (
    "torch",
    "matplotlib",
    "typer",
    "pyarrow",
    "jinja2",
    "PIL",
    "qdrant_edge",
    "faiss",
    "onnxruntime",
    "tokenizers",
    "httpx",
    "sentence_transformers",
    "psycopg",
    "lancedb",
    "qdrant_client",
)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_public_names_are_pinned() -> None:
    assert crossfade.__all__ == [
        "Assessment",
        "Backfill",
        "CrossfadeError",
        "EvaluationResult",
        "Gallery",
        "Hit",
        "Mode",
        "Pairs",
        "Qrels",
        "QueryLog",
        "QueryRecorder",
        "Side",
        "Space",
        "Upgrade",
        "__version__",
        "assess",
        "chained",
        "evaluate",
        "fit",
        "open_gallery",
        "stand_in_queries",
        "start_gallery",
    ]
    assert all(hasattr(crossfade, name) for name in crossfade.__all__)


def test_every_public_thing_says_what_it_is() -> None:
    for name in crossfade.__all__:
        if name != "__version__":
            assert (getattr(crossfade, name).__doc__ or "").strip(), name


def test_the_version_is_the_distributions() -> None:
    assert crossfade.__version__ == metadata.version("crossfade")


def test_importing_the_package_brings_nothing_heavy_along() -> None:
    done = run(f"import crossfade, sys; print({set(HEAVY)!r} & set(sys.modules))")
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_serving_an_upgrade_never_imports_torch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = crossfade.Pairs.of(range(80), rng.normal(size=(80, 6)), rng.normal(size=(80, 9)))
    crossfade.fit(pairs, "rqt", epochs=1).save(tmp_path / "upgrade")
    np.save(tmp_path / "query.npy", rng.normal(size=(3, 9)))
    done = run(
        """
        import sys
        from pathlib import Path
        import numpy as np
        import crossfade

        folder = Path(sys.argv[1])
        upgrade = crossfade.Upgrade.load(folder / "upgrade")
        queries = np.load(folder / "query.npy")
        assert upgrade.psi(upgrade.store_new(queries)).shape == (3, 6)
        side = upgrade.old_side(queries)
        side.scores(side.search_query, None)
        gallery = crossfade.open_gallery("memory://", upgrade)
        gallery.search(queries, k=1)
        assert "torch" not in sys.modules
        """,
        str(tmp_path),
    )
    assert done.stderr == ""


def test_closed_form_fitting_never_imports_torch() -> None:
    done = run(
        """
        import sys
        import numpy as np
        import crossfade

        rows = np.random.default_rng(0).normal(size=(100, 8))
        crossfade.fit(crossfade.Pairs.of(range(100), rows, rows), "ridge")
        assert "torch" not in sys.modules
        """
    )
    assert done.stderr == ""


def test_fit_stays_a_function_however_it_is_first_reached() -> None:
    for first in ("crossfade", "crossfade.fit", "crossfade.fit.api", "crossfade.fit.methods"):
        done = run(
            f"""
            import {first}
            import numpy as np
            import crossfade
            from crossfade.fit.api import fit

            rows = np.random.default_rng(0).normal(size=(30, 4))
            pairs = crossfade.Pairs.of(range(30), rows, rows)
            upgrades = [crossfade.fit(pairs, "ridge"), crossfade.fit(pairs, "ridge")]
            assert {{upgrade.id for upgrade in upgrades}} == {{fit(pairs, "ridge").id}}
            """
        )
        assert done.stderr == ""


def test_fitting_without_torch_names_what_to_install() -> None:
    done = run(
        """
        import sys
        sys.modules["torch"] = None
        import numpy as np
        import crossfade
        from crossfade.errors import MissingExtra

        rows = np.random.default_rng(0).normal(size=(100, 8))
        pairs = crossfade.Pairs.of(range(100), rows, rows)
        for method in ("rqt", "contrastive", "distillation", "auto"):
            try:
                crossfade.fit(pairs, method)
            except MissingExtra as error:
                print(error)
        """
    )
    assert done.stderr == ""
    wanted = 'fitting a trained method needs an optional package: pip install "crossfade[fit]"'
    *named, auto = done.stdout.splitlines()
    assert named == [wanted] * 3
    assert "none in refitted_kernel" in auto and 'pip install "crossfade[fit]"' in auto


def test_parquet_without_pyarrow_names_what_to_install(tmp_path: Path) -> None:
    done = run(
        """
        import sys
        sys.modules["pyarrow"] = None
        import numpy as np
        import crossfade
        from crossfade.errors import MissingExtra

        pairs = crossfade.Pairs.of([1], np.ones((1, 2)), np.ones((1, 3)))
        (path := sys.argv[1])
        open(path, "wb").close()
        for act in (lambda: pairs.save(path), lambda: crossfade.Pairs.load(path)):
            try:
                act()
            except MissingExtra as error:
                print(error)
        """,
        str(tmp_path / "pairs.parquet"),
    )
    assert done.stderr == ""
    assert done.stdout.count('pip install "crossfade[parquet]"') == 2


def test_encoders_and_sources_without_their_packages_name_what_to_install(tmp_path: Path) -> None:
    absent = ("onnxruntime", "PIL", "httpx", "sentence_transformers", "psycopg", "pyarrow")
    done = run(
        f"""
        import sys
        sys.modules.update(dict.fromkeys({absent!r}))
        from crossfade.embeddings.encoders import load_encoder
        from crossfade.embeddings.sources import load_source
        from crossfade.errors import MissingExtra

        file = sys.argv[1]
        open(file, "wb").close()
        for load, spec in [
            (load_encoder, f"onnx-image:{{file}}?size=8&mean=0&std=1"),
            (load_encoder, f"onnx-text:{{file}}"),
            (load_encoder, "openai:model@http://host/v1"),
            (load_encoder, "sentence-transformers:model"),
            (load_encoder, f"precomputed:{{file}}"),
            (load_source, f"parquet:{{file}}"),
            (load_source, "sql:postgresql://host/db?query=SELECT id, x FROM t WHERE id IN (:ids)"),
        ]:
            try:
                load(spec)
            except MissingExtra as error:
                print(error)
        """,
        str(tmp_path / "file.parquet"),
    )
    assert done.stderr == ""
    lines = [line.partition("crossfade[")[2] for line in done.stdout.splitlines()]
    extras = ["onnx", "onnx", "http", "sentence-transformers", "parquet", "parquet", "sql"]
    assert lines == [f'{extra}]"' for extra in extras]
