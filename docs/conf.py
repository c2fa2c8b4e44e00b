"""Sphinx: the documentation as a site. ``make docs`` builds it; nothing is fetched while it is built."""

from importlib.metadata import version as installed
from pathlib import Path
from sys import path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

path.insert(0, str(Path(__file__).parent / "_ext"))

project = "bayespip"
author = "bayespip developers"
version = release = installed("bayespip")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "mathml",
    "prior_catalogue",
]
templates_path = ["_templates"]
exclude_patterns = ["**/.ipynb_checkpoints", "notebooks/README.md"]  # the latter is the folder's own page
nitpicky = False  # annotations name types of NumPy, pandas and xarray, whose inventories would have to be fetched

# Markdown and notebooks. The outputs that notebooks store are shown; nothing is executed.
nb_execution_mode = "off"
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# Docstrings. What a class holds stands in its Attributes; its methods and properties follow on the same page.
autosummary_generate = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"bayespip {release}"
html_static_path = ["_static"]
html_css_files = ["bayespip.css"]
html_theme_options = {
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_end": [],
}
html_sidebars = {page: [] for page in ("index", "start", "priors")}  # they have no pages beneath them
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"

# External links, which `make docs-links` follows. Publishers turn robots away from the pages of their DOIs.
linkcheck_ignore = [r"https://doi\.org/.*"]
linkcheck_timeout = 20


def setup(app: Sphinx) -> None:
    """Name the tables that pages show, for which Pygments has no colours."""
    app.add_lexer("csv", TextLexer)
