"""Sphinx configuration; the pages under generated/ are written by _ext/linuxmm_docs.py."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "linuxmm"
author = "The linuxmm authors"
try:
    version = release = metadata.version("linuxmm")
except metadata.PackageNotFoundError:
    version = release = "from source"
extensions = ["myst_parser", "sphinx.ext.autodoc", "linuxmm_docs"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
autodoc_default_options = {"members": True, "show-inheritance": False, "member-order": "bysource"}
autodoc_typehints = "none"
add_module_names = False
html_theme = "furo"
html_title = "linuxmm"
