# make demo, make test: everything is set up on the way, and only what has changed.
SHELL := /bin/bash
PYTHON ?= python3
# DISTRO=jazzy, and VERSIONS=oldest or newest (else the tested ones), choose another environment.
DISTRO ?=
VERSIONS ?= tested
# SCENE=path of RGB-D (a file, folder or bag), READ="up=y depth_scale=5000" (what it does not say),
# ASK="the mug behind the table lamp"; for bags also the topics RGB, DEPTH and INFO, which are
# guessed otherwise. They reach the shell as variables, not pasted into a command line, so that they
# may hold quotes, spaces and dollars.
words := SCENE ASK RGB DEPTH INFO READ
$(foreach word,$(words),$(eval override $(word) := $$(value $(word))))
export $(words)
lower = $(shell echo $(1) | tr A-Z a-z)
OPTIONS = $(foreach word,$(words),$${$(word):+--$(call lower,$(word))="$$$(word)"})
# Test modules that run at the same time; 0: one after the other in one process, for --pdb and -s.
TEST_JOBS ?= 2
ACTIVATE = env=$$("$(PYTHON)" scripts/environment.py --distro "$(DISTRO)" --versions "$(VERSIONS)") \
    && source "$$env"

.PHONY: demo test lint docs bench research-smoke results setup venv clean help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo:  ## run the whole system on a scene (SCENE=path) and write pictures to out/
	@$(ACTIVATE) && python -m semabs_ros.demo $(OPTIONS)

test:  ## all tests
	@$(ACTIVATE) && python -m pytest --numprocesses $(TEST_JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)

lint:  ## ruff and mypy
	@$(ACTIVATE) && ruff check . && ruff format --check . && mypy

docs:  ## the documentation as a site in out/site
	@$(ACTIVATE) && NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet && echo "written: out/site/index.html"

bench:  ## speed as ratios, some minutes (BENCH=--full: the sweeps too, an hour)
	@$(ACTIVATE) && python -m benchmarks.speed $(BENCH)

research-smoke:  ## the whole research loop in small: rooms, training, evaluation, tables
	@$(ACTIVATE) && scripts/research_smoke.sh out/research

results:  ## the tables of docs/results.md from the shipped weights (half an hour on two cores)
	@$(ACTIVATE) && scripts/results.sh out/results

setup:  ## only the set-up
	@$(ACTIVATE) && echo "source '$$env'"

venv:  ## with a sourced ROS 2: the virtual environment and the build on top of it
	@"$(PYTHON)" scripts/environment.py --versions "$(VERSIONS)" --native-only

clean:  ## forget environments and builds
	rm -rf .semabs out
