# `make demo` and `make test` are all a newcomer needs: Python 3.11 and make; the rest is set up here, from requirements/.
# PYTHON=... names the interpreter that .venv is made with (`make clean` first, when there is one already).
VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(patsubst requirements/bench-%.txt,.venv-bench/%/.ready,$(wildcard requirements/bench-*.txt))

.DEFAULT_GOAL := help
.PHONY: help demo test e2e check fmt bench lock build clean lint types layers suite

help:                ## this list
	@grep -hE '^[a-z0-9]+:.*## ' Makefile | sed -E 's/^([a-z0-9]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 16

demo: $(READY)       ## twenty seconds of a real Django project: pictures become thumbnails, on schedule
	@sh examples/demo.sh $(BIN)

test: check suite    ## everything that must pass

check: lint types layers   ## format, lint, strict types, which module may import which

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
types: $(READY)
	$(BIN)/mypy
layers: $(READY)
	$(BIN)/lint-imports
suite: $(READY)
	@$(BIN)/python -c 'import sys; sys.tracebacklimit = 0; from channelbeat.local.embedded_redis import find; find()' || \
		{ echo 'make: the suite needs a Redis server, and this Python has none bundled: install valkey-server or redis-server' >&2; exit 1; }
	$(BIN)/pytest

e2e: $(READY)        ## the operator on a whole Kubernetes node of its own: root and Debian (ARGS=... for pytest)
	PYTHONPATH=tests $(BIN)/python -m support.node_room tests/e2e $(ARGS)

fmt: $(READY)        ## format in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) $(PEERS)     ## measure against beatserver, Celery, RedBeat, APScheduler, the stock worker and Kubernetes CronJobs (an hour)
	$(BIN)/python -m benchmarks

build: $(READY)      ## wheel and sdist, in dist/
	$(BIN)/python -m build --no-isolation

# Complete or absent: stamped last.
$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml requirements/venv.sh
	@PYTHON='$(PYTHON)' sh requirements/venv.sh $(VENV)

.venv-bench/%/.ready: requirements/bench-%.txt | $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip sync --quiet --require-hashes --python $(@D)/bin/python $<
	touch $@

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(if $(U),--upgrade-package $(U),--upgrade)
lock: $(READY)       ## newest versions that fit pyproject.toml, with hashes (U=PACKAGE moves one)
	$(COMPILE) pyproject.toml --extra local --extra operator --extra encryption --group dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra operator --extra encryption -c requirements/dev.txt -o requirements/operator.txt
	$(COMPILE) pyproject.toml --extra encryption requirements/thumbnails.in -c requirements/dev.txt -o requirements/thumbnails.txt
	echo hatchling | $(COMPILE) - -c requirements/dev.txt -o requirements/build.txt
	echo uv | $(COMPILE) - -c requirements/dev.txt -o requirements/uv.txt
	for peer in requirements/bench-*.in; do [ ! -e "$$peer" ] || $(COMPILE) "$$peer" -o "$${peer%.in}.txt" || exit 1; done
	$(COMPILE) requirements/go.in -o requirements/go.txt
	! grep -rnE '://|index-url' requirements/

clean:               ## remove what was made here
	rm -rf $(VENV) .venv-bench dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
