# The one door. `make help` lists what it opens; the work is in cmake presets and scripts/.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev configure build run test e2e oracle lint fmt asan tsan fuzz bench clean

JOBS ?= $(shell nproc)
TRILANE := build/dev/src/app/trilane
# How build/dev compiles: UNITY=OFF one source at a time, for those who edit one file often; ON again
# for builds from nothing. It stays as it was set last.
UNITY ?=
# Extra words for the daemon: make run ARGS="--port 8080"
ARGS ?=

help: ## this list
	@awk -F':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## install what is missing for build, run and test (says what first)
	@scripts/setup.sh

setup-dev: ## the same, and the tools of lint, fuzz, e2e and oracle
	@scripts/setup.sh --dev

configure: setup
	@[ -f build/dev/build.ninja ] || cmake --preset dev
	@[ -z "$(UNITY)" ] || cmake -DTRILANE_UNITY=$(UNITY) build/dev >/dev/null

build: configure ## everything of the dev preset, in build/dev (UNITY=OFF: each file alone)
	cmake --build --preset dev --parallel $(JOBS)

run: configure ## build and start the daemon with the bundled model (ARGS="--port 8080")
	cmake --build --preset dev --parallel $(JOBS) --target trilane
	@exec $(TRILANE) serve $(ARGS)

test: build ## unit tests
	ctest --preset dev

e2e: setup-dev configure ## the running daemon against real clients (Node.js)
	cmake --build --preset dev --parallel $(JOBS) --target trilane trilane_fake_lane trilane_schema_answers
	@scripts/e2e.sh

oracle: setup-dev configure ## our greedy tokens against node-llama-cpp's
	cmake --build --preset dev --parallel $(JOBS) --target trilane_greedy trilane_make_oracle_models
	@scripts/oracle.sh

asan: setup ## unit tests under AddressSanitizer and UBSan
	@scripts/sanitize.sh asan

tsan: setup ## unit tests under ThreadSanitizer
	@scripts/sanitize.sh tsan

fuzz: setup-dev ## every fuzz target for SECONDS_EACH (60) seconds
	@scripts/fuzz.sh

lint: setup-dev ## layers, format, sizes, cppcheck, includes, clang-tidy
	@scripts/lint.sh

fmt: setup-dev ## clang-format, in place
	@git ls-files --cached --others --exclude-standard '*.h' '*.cpp' | xargs -r clang-format-14 -i

bench: build ## one record of figures in bench/records, with the machine's limits beside them
	@scripts/measure.py

clean: ## remove build/
	rm -rf build
