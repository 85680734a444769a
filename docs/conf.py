"""How `make docs` makes the site of these pages (Sphinx, with MyST for Markdown)."""

project = "reconcile"
extensions = ["myst_parser"]
myst_heading_anchors = 3  # `#host-key-changed` is a link, as on GitHub
exclude_patterns = ["_build"]
nitpicky = True
html_theme = "furo"
html_title = "reconcile"
html_show_sphinx = False
html_copy_source = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
