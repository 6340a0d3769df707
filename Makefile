# make check | test | soak | docs | demo | bench | clean        (make help lists all)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# The examples are copied to servers as they lie here: without anybody's bytecode.
export PYTHONDONTWRITEBYTECODE := 1
SCHEMA := check-jsonschema --quiet --builtin-schema
# Python 3.9 and 3.13 from PATH, or pyenv's, which it shows only where they are chosen.
PYTHONS := $(if $(PYENV_ROOT),$(wildcard $(PYENV_ROOT)/versions/*/bin/python3))
TOX := tox run $(if $(PYTHONS),--discover $(PYTHONS))

help: ## List the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(VENV)/ready ## Make the virtual environment (.venv) and let evenkeel.celery resolve to this checkout
$(VENV)/ready: requirements.txt rig/setup.py
	python3 rig/setup.py
	touch $@

generate: setup ## Argument specs, defaults, doc fragments and READMEs' tables, from the tables of options
	PYTHONPATH=plugins python rig/generate

lint: setup ## Everything that is checked without running it: code, what is generated, roles, documentation, .github
	PYTHONPATH=plugins python rig/generate --check
	ruff check .
	ruff format --check .
	vermin --target=3.9- --violations --quiet --no-tips plugins roles
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	$(SCHEMA) vendor.github-actions .github/actions/*/action.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.compose-spec examples/*/export/compose/compose.yaml
	check-jsonschema --quiet --schemafile tests/unit/schemas/render.schema.json examples/*/export/render/render.yaml
	pre-commit validate-config
	antsibull-changelog lint
	antsibull-changelog lint-changelog-yaml changelogs/changelog.yaml
	antsibull-docs lint-collection-docs --plugin-docs .
	python rig/ansible_lint.py --offline

# With bytecode, but not among the files.
unit: export PYTHONDONTWRITEBYTECODE :=
unit: export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache
unit: setup ## Unit tests
	pytest -n auto --dist worksteal

check: setup ## The quick loop: lint and unit tests, at the same time
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint unit

sanity: setup ## ansible-test sanity, on a copy of the tracked files
	python rig/sanity.py

images: setup ## A Docker engine and the images of the servers
	ansible-playbook rig/images.yml
	python rig/clean.py keep-swappiness

molecule-%: images ## One Molecule scenario
	python rig/scenarios.py $*

# The images are built while the quick loop runs. Sanity, which keeps one core busy, runs beside the scenarios, which wait.
test: setup ## Everything, each to its end whatever fails: check, sanity, every Molecule scenario
	mkdir -p .cache; $(MAKE) --no-print-directory images >.cache/images.log 2>&1 & images=$$!; \
	failed=; $(MAKE) --no-print-directory check || failed=" check"; \
	$(MAKE) --no-print-directory sanity >.cache/sanity.log 2>&1 & sanity=$$!; \
	wait $$images || { failed="$$failed images"; cat .cache/images.log; }; \
	python rig/scenarios.py || failed="$$failed scenarios"; \
	wait $$sanity || { failed="$$failed sanity"; cat .cache/sanity.log; }; \
	[ -z "$$failed" ] || { echo "Failed:$$failed"; false; }

oldest-python: setup ## Unit tests on the oldest Python of managed hosts
	$(TOX) -e oldest-python

matrix: images ## Every ansible-core promised, and the oldest Python; or one: make matrix CORE=2.17
	$(TOX) $(if $(CORE),-f v$(CORE))

soak: images ## One scenario again and again on a busy machine: make soak SCENARIO=memory N=5
	python rig/scenarios.py $(SCENARIO) --soak $(or $(N),5)

demo: images ## A broken server, repaired in a container: make demo EXAMPLE=slideshow
	python rig/demo.py $(or $(EXAMPLE),slideshow)

bench: images ## Before and after, measured: docs/before_after.md and a plot
	pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	python bench/before_after.py

docs: setup ## The documentation site: .cache/docs/html/index.html
	python rig/docs.py

release: setup ## Version, changelog, tarball, commit and tag; nothing is pushed: make release VERSION=x.y.z
	python rig/release.py $(VERSION)

clean: setup ## Remove what the demo, the benchmark and the tests made
	python rig/clean.py

.PHONY: help setup generate lint unit check sanity images test oldest-python matrix soak demo bench docs release clean
