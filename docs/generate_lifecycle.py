"""Make the tables of ``docs/lifecycle.md`` anew from the table in the code.

python docs/generate_lifecycle.py
"""

from pathlib import Path

from crossfade.gallery.moves import generated_page

PAGE = Path(__file__).with_name("lifecycle.md")
PAGE.write_text(generated_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
