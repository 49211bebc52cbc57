# Everything a contributor or a first visitor runs. Needs Python 3.10 to 3.13, make and a package index.
PYTHON ?= python3
VENV   ?= .venv
EXTRAS ?=
ARGS   ?=

BIN := $(VENV)/bin
STORES := build/stores
PEERS := build/peers
SITE := build/site
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow fuzz test-engines test-stores engines torture lint docs site notebooks bench image check-lock constraints clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@echo "  PYTHON=python3.12 picks the interpreter, VENV=DIR the virtual environment, ARGS='...' adds arguments."

install: $(VENV)/.installed $(EXTRAS:%=$(VENV)/.installed-%)  ## make .venv with augshard in it; EXTRAS='aws gcp' adds extras
	@echo "==> augshard is installed: $(BIN)/augshard"

demo: $(VENV)/.installed  ## the whole tour on a small dataset that it draws itself
	$(BIN)/augshard demo $(ARGS)

test: $(VENV)/.installed-test  ## all tests but the slow ones and those on engines and stores, in two processes
	$(BIN)/python -m pytest -m "not slow and not engines and not stores" -n 2 --dist worksteal $(ARGS)

test-slow: $(VENV)/.installed-test $(SITE)/.installed  ## the slow tests alone, the notebooks among them
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal $(ARGS) || test $$? -eq 5  # 5: there are none

test-engines: $(VENV)/.installed-test  ## the tests on Flink and Prism, which need Java, Maven and Go
	$(BIN)/python -m pytest -m engines $(ARGS)

test-stores: $(VENV)/.installed-test $(VENV)/.installed-aws $(VENV)/.installed-gcp $(STORES)/.installed  ## the tests on emulated object stores, which need Go
	$(BIN)/python -m pytest -m stores $(ARGS)

torture: $(VENV)/.installed-test  ## kills, rival runs, odd settings, many times over (under 30 minutes); ARGS='kills --times 20'
	@$(BIN)/python -m tests.torture $(ARGS)

fuzz: $(VENV)/.installed-test  ## five minutes of fuzzing our own parsing, guided by coverage; ARGS='--seconds 3600 manifest'
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(PIP) install 'atheris==3.0.0'
	$(BIN)/python -m tests.fuzz $(ARGS)

engines: $(VENV)/.installed-test  ## the same request on every engine, with its time and digest
	@$(BIN)/python -m tests.engines $(ARGS)

lint: $(VENV)/.installed-test  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed  ## write the reference of the ops, with a picture of each, from the ops themselves
	$(BIN)/python -m docs.generate

site: $(SITE)/.installed  ## docs/ as a site, in build/site/html; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(SITE)/venv/bin/mkdocs build --strict $(ARGS)
	@echo "==> open $(SITE)/html/index.html; with search: python -m http.server -d $(SITE)/html"

notebooks: $(VENV)/.installed-test $(SITE)/.installed  ## run docs/notebooks and keep what they show; ARGS=cifar10 for one
	$(BIN)/python -m docs.notebooks $(ARGS)

bench: $(VENV)/.installed-test $(PEERS)/.installed  ## the job beside what others do; ARGS='--rows flowers,start'
	$(BIN)/python -m benchmarks $(ARGS)

check-lock: $(VENV)/.installed-test  ## licences, installability and advisories of what constraints.txt pins (ten minutes)
	@$(BIN)/python -m tests.lock $(ARGS)

image:  ## the worker image, by Docker; ARGS='--build-arg EXTRAS=gcp' and the like (docs/containers.md)
	DOCKER_BUILDKIT=1 docker build -f docker/Dockerfile -t augshard $(ARGS) .

# The lock is whole, so pip has nothing to solve: `--no-deps` takes its pins as they are. Pips before 23.3 know no
# hash for a requirement with an extra (`google-auth[pyopenssl]`) that is pinned without, and stop at it.
# $(call pins,SECTIONS) prints those sections of constraints.txt, $(call install,SECTIONS) installs them.
pins = awk -v 'wanted= $(1) ' '/^\#\# / {keep = index(wanted, " " $$2 " ")} keep' constraints.txt
install = $(call pins,$(1)) > $(VENV)/pins.txt && $(PIP) install --no-deps -r $(VENV)/pins.txt && $(PIP) check

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c '' 2>/dev/null || { \
	  echo "augshard needs Python 3.10 to 3.13, and '$(PYTHON)' does not run: install it, or name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' || { \
	  echo "augshard needs Python 3.10 to 3.13, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1): name another with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@rm -f $(VENV)/.installed*
	@test -x $(BIN)/pip || { echo "==> making a virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "==> installing TensorFlow, Apache Beam and the rest at the versions in constraints.txt (a few minutes)"
	@$(PIP) install 'pip>=21.3'  # for `-e`; Python 3.10.0 to 3.10.2 come with an older one
	@$(call install,base)
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q augment pipelines  # as pip does with what is not editable: the first start is no slower
	@touch $@

# One rule for each extra: test, train, arrayrecord, aws, gcp, heic.
$(VENV)/.installed-%: $(VENV)/.installed
	@echo "==> installing what augshard[$*] adds"
	@$(call install,base $*)
	@touch $@

# Emulators of object stores, in a place of their own: no code of ours runs with what they bring.
$(STORES)/.installed:
	@command -v go > /dev/null || { echo "fake-gcs-server is built with Go, which is not here: install it" >&2; exit 1; }
	@echo "==> installing moto and fake-gcs-server in $(STORES)"
	@$(PYTHON) -m venv $(STORES)/venv
	@$(STORES)/venv/bin/pip --disable-pip-version-check --quiet install 'moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5
	@GOBIN=$(CURDIR)/$(STORES)/bin go install github.com/fsouza/fake-gcs-server@v1.56.1
	@touch $@

# What makes the site and runs the notebooks, in a place of its own: no code of ours needs it.
$(SITE)/.installed: docs/site.txt
	@echo "==> installing MkDocs and Jupyter's kernel in $(SITE)"
	@rm -rf $(SITE)/venv && $(PYTHON) -m venv $(SITE)/venv
	@$(SITE)/venv/bin/pip --disable-pip-version-check --no-input --quiet install --no-deps -r docs/site.txt
	@touch $@

# What the benchmarks stand beside, in a place of its own: it is none of ours, and asks for other versions.
$(PEERS)/.installed: benchmarks/peers.txt $(VENV)/.installed
	@echo "==> installing the benchmarks' peers in $(PEERS)"
	@$(PIP) install --no-deps --upgrade --target $(PEERS) -r benchmarks/peers.txt
	@touch $@

# Pins that still fit are kept; `make constraints ARGS=--upgrade` renews them all.
# The full set is solved once; each section is then that solution cut down to what the extra needs. Google's
# libraries want a newer protobuf than TensorFlow's allow on Python 3.10, so gcp is locked from 3.11 on.
LOCK    := build/lock
COMPILE := $(LOCK)/venv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
           --no-header --annotation-style line
GCP     := printf '%s\n' "apache-beam[gcp]; python_version >= '3.11'"
TRIM    := sed -e '/^\# The following packages were excluded/,$$d' \
           -e 's|, -c $(LOCK)/all.txt||' -e 's|-c $(LOCK)/all.txt, ||' -e 's|, -r -||' -e 's|-r -, ||'

# mkdocstrings' last version for Python 3.10 does not go with newer pymdown-extensions.
SITE_NEEDS := mkdocs-material mkdocstrings-python 'pymdown-extensions<12' ruff nbclient ipykernel

constraints:  ## solve the dependencies anew and write constraints.txt
	@rm -rf $(LOCK) && mkdir -p $(LOCK) && cp constraints.txt $(LOCK)/all.txt
	@echo "==> installing uv in $(LOCK)/venv"
	@$(PYTHON) -m venv $(LOCK)/venv
	@$(LOCK)/venv/bin/pip --disable-pip-version-check --quiet install 'uv>=0.9'
	@echo "==> solving for Python 3.10 to 3.13"
	@$(GCP) | $(COMPILE) $(ARGS) --extra test --extra train --extra arrayrecord --extra aws --extra heic pyproject.toml - -o $(LOCK)/all.txt
	@$(COMPILE) -c $(LOCK)/all.txt pyproject.toml > $(LOCK)/base
	@sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' $(LOCK)/base | sort -u > $(LOCK)/in-base
	@for extra in test train arrayrecord aws heic; do \
	  $(COMPILE) -c $(LOCK)/all.txt $$(cat $(LOCK)/in-base) --extra $$extra pyproject.toml > $(LOCK)/$$extra || exit 1; done
	@$(GCP) | $(COMPILE) -c $(LOCK)/all.txt $$(cat $(LOCK)/in-base) pyproject.toml - > $(LOCK)/gcp
	@{ echo "# Written by 'make constraints'. Each section below 'base' holds what that extra adds to it."; \
	   for section in base test train arrayrecord aws gcp heic; do echo "## $$section"; $(TRIM) $(LOCK)/$$section; done; } > $(LOCK)/constraints.txt
	@mv $(LOCK)/constraints.txt constraints.txt
	@version=$$(sed -n 's/^tensorflow==\([^ ]*\).*/\1/p' constraints.txt); \
	  printf '%s\n' "tensorflow-cpu==$$version; platform_machine == 'x86_64'" \
	    "tensorflow==$$version; platform_machine != 'x86_64'" | $(COMPILE) --no-deps - | $(TRIM) > docker/cpu.txt; \
	  echo "tensorflow[and-cuda]==$$version" | $(COMPILE) -c constraints.txt \
	    $$(grep -vx -- '--no-emit-package tensorflow' $(LOCK)/in-base) - | $(TRIM) > docker/gpu.txt
	@printf '%s\n' $(SITE_NEEDS) | $(COMPILE) $(ARGS) - -o docs/site.txt
	@rm -rf $(LOCK)
	@echo "==> wrote constraints.txt"

clean:  ## remove what these targets made
	@test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	rm -rf build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
