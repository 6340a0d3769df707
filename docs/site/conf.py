"""Sphinx's configuration of the documentation site; rig/docs.py lays out the pages and names the version."""

from docutils import nodes

project = "evenkeel.celery"
author = "The evenkeel developers"
copyright = f"%Y, {author}"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
# Headings can be linked to, as on GitHub.
myst_heading_anchors = 3
# index.md includes the first; the second would list environment variables of plugins, which have none.
exclude_patterns = ["README.md", "reference/environment_variables.rst"]

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
pygments_style = "ansible"

# Labels that the reference uses from Ansible's own documentation. Intersphinx would have to download its inventory.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/reference_appendices"
ANSIBLE_PAGES = {"common_return_values": f"{ANSIBLE}/common_return_values.html"}


def link_to_ansible(app, env, node, contnode):
    if node["reftarget"] in ANSIBLE_PAGES:
        return nodes.reference("", "", contnode, refuri=ANSIBLE_PAGES[node["reftarget"]])
    return None


def setup(app):
    app.connect("missing-reference", link_to_ansible)
