# `make demo` and `make test` need Python 3.10 or newer, nothing else.
# The first interpreter that really runs (version managers leave shims that do not) and is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo serve test test-napari soak check lint fmt docs docs-serve docs-picture bundle measured bench-start bench-speed bench-server \
	bench-page bench-accuracy bench-compare bench-video bench-gpu browser-demo licences sbom clean

demo: $(VENV)/.installed
	@$(BIN)/cleancut demo $(if $(IMAGE),"$(IMAGE)") -o demo-out

serve: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[server]'
	-$(BIN)/cleancut models pull
	$(BIN)/cleancut serve

# The tests that hurt a running server, for five minutes each.
soak: $(VENV)/.dev
	CLEANCUT_SOAK_S=300 $(BIN)/python -m pytest tests/soak --timeout=900

# Training has a process of its own: after PyTorch's ONNX exporter has run in one, a SIGINT that tests raise there crashes it.
TRAINING := tests/distill $(wildcard tests/cli/test_distill_*.py)
test: $(VENV)/.dev
	$(BIN)/python -m pytest --durations=30 $(addprefix --ignore=,$(TRAINING))
	$(BIN)/python -m pytest $(TRAINING)

# The plug-in for napari, beside napari: its pytest plugins do not survive the settings of our other tests.
test-napari:
	test -x .venv-napari/bin/python || $(PYTHON) -m venv .venv-napari
	.venv-napari/bin/python -m pip install --quiet --editable . --editable integrations/napari 'PyQt6>=6.8' pytest pytest-timeout
	.venv-napari/bin/npe2 validate napari-cleancut
	cd integrations/napari && QT_QPA_PLATFORM=offscreen ../../.venv-napari/bin/python -m pytest

check: lint test

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests docs integrations
	$(BIN)/ruff format --check src tests docs integrations
	$(BIN)/vermin --quiet --target=3.10- --violations --no-tips --eval-annotations src docs
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix src tests docs integrations
	$(BIN)/ruff format src tests docs integrations

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The documentation at http://127.0.0.1:8000, built anew at every change.
docs-serve: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

docs-picture: $(VENV)/.dev
	$(BIN)/cleancut models pull
	$(BIN)/python docs/picture.py
	$(BIN)/cleancut models pull selfie
	$(BIN)/python docs/page_pictures.py
	$(BIN)/python docs/recipe_pictures.py

# The static page that cuts out in the browser, in integrations/browser/dist.
browser-demo: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[mobile]'
	$(BIN)/python integrations/browser/build.py

# Puts an exported student (NAME.onnx with NAME.toml beside it) and its catalog row into the package.
bundle: $(VENV)/.dev
	@test -n "$(ONNX)" || { echo "give the exported network: make bundle ONNX=cleancut-nano.onnx"; exit 1; }
	$(BIN)/python docs/bundle.py "$(ONNX)"
	$(BIN)/python docs/generate.py

# Prints rembg's side and ours, of one run; makes .venv-rembg for the peer.
bench-start: $(VENV)/.installed
	$(BIN)/cleancut models pull u2netp isnet
	$(BIN)/cleancut bench start

# Folders, a large picture and a long run, beside rembg; a few minutes.
bench-speed: $(VENV)/.installed
	$(BIN)/cleancut models pull u2netp isnet
	$(BIN)/cleancut bench speed

# The HTTP server under load beside rembg's; about ten minutes.
bench-server: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[server]'
	$(BIN)/cleancut models pull u2netp isnet
	$(BIN)/cleancut bench server

# The web page in Chromium: what it loads, when it reacts, how fast a picture and a stroke are.
bench-page: $(VENV)/.dev
	$(BIN)/cleancut models pull u2netp
	$(BIN)/python -m tests.page.speed

# A network alone, everything around it and rembg, on one NVIDIA GPU; DIR= pictures, DEVICE=cpu to try it without.
bench-gpu: $(VENV)/.installed
	$(if $(filter cpu,$(DEVICE)),,$(BIN)/python -m pip install --quiet --editable '.[gpu]')
	$(BIN)/cleancut models pull u2netp isnet
	$(BIN)/cleancut bench gpu $(if $(DIR),"$(DIR)") $(if $(DEVICE),--device $(DEVICE))

# Frames and whole videos beside rembg and backgroundremover; DIR= clips with true mattes.
bench-video: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[video]'
	$(BIN)/cleancut models pull u2netp isnet
	$(BIN)/cleancut bench video $(if $(DIR),"$(DIR)")
	$(if $(DIR),$(BIN)/cleancut bench steady "$(DIR)")

# Puts a comparison (make bench-compare, --json) into the package, and the pages made from it: make measured JSON=all.json [ONLY=auto]
measured: $(VENV)/.dev
	@test -n "$(JSON)" || { echo "give the comparison: make measured JSON=all.json"; exit 1; }
	$(BIN)/python docs/measured.py "$(JSON)" $(if $(ONLY),--only $(ONLY))
	$(BIN)/python docs/generate.py

# Every system in every dimension, as a page: make bench-compare DIR=pictures; about an hour for 100 pictures.
bench-compare: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[compare,video,server]'
	-$(BIN)/cleancut models pull
	$(BIN)/cleancut bench compare $(if $(DIR),--data "$(DIR)") --install-peers --html comparison.html --json comparison.json

# Scores the default model beside rembg on your pictures: make bench-accuracy DIR=pictures
bench-accuracy: $(VENV)/.installed
	@test -n "$(DIR)" || { echo "give a folder of SET/image and SET/alpha: make bench-accuracy DIR=pictures"; exit 1; }
	$(BIN)/cleancut models pull
	$(BIN)/cleancut bench accuracy "$(DIR)" --rembg

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "cleancut needs Python 3.10 or newer with venv; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[convert,heic,psd,s3,redis,ray,optimize,server,camera,train,compare,mobile,mcp]' --group dev
	touch $@

licences: $(VENV)/.dev
	$(BIN)/python docs/licences.py

# What an installation consists of, as CycloneDX: the plain one, and one with the extras that serve.
SBOM_EXTRAS := heic,psd,s3,gs,az,redis,server,video,compare
sbom:
	rm -rf .venv-sbom sbom && mkdir -p .venv-sbom sbom
	$(PYTHON) -m venv .venv-sbom/tool && .venv-sbom/tool/bin/pip install --quiet 'cyclonedx-bom>=7'
	for kind in cleancut: "cleancut-extras:[$(SBOM_EXTRAS)]"; do \
		env=.venv-sbom/$${kind%%:*}; $(PYTHON) -m venv $$env && \
		$$env/bin/pip install --quiet --only-binary :all: ".$${kind#*:}" && \
		.venv-sbom/tool/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
			--output-format JSON --output-file sbom/$${kind%%:*}.cdx.json $$env/bin/python || exit 1; \
	done

clean:
	rm -rf $(VENV) .venv-sbom sbom .venv-rembg .venv-napari demo-out .mypy_cache .ruff_cache .pytest_cache
