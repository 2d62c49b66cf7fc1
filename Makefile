# Thin on purpose: each target is one script, and every one of them sets up first what is missing.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build dist demo check test bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */\1|/' \
		| while IFS='|' read -r target what; do printf '  make %-7s %s\n' "$$target" "$$what"; done

setup: ## install what building and testing need, where missing
	@scripts/setup.sh

build: setup ## build the release binary and put it into the collection
	@scripts/build.sh

dist: setup ## make what a release consists of: the collection with all its binaries, checksums, a bill of materials
	@scripts/dist.sh

demo: build ## see the main job: three software TPMs to three hosts that can join
	@source scripts/env.sh && exec python scripts/demo.py

check: setup ## run what takes minutes: formatting, lints, unit tests, the fast integration tests
	@scripts/test.sh check

test: setup ## run everything; FILTER=word: the tests that have the word in their names
	@scripts/test.sh all

bench: build ## measure against tpm2-tools, against a template for 10,000 hosts, and against stock modules, locally and over ssh
	@source scripts/env.sh && cargo build --release --locked --target-dir target/libtss2 \
		&& python benches/fleet.py && python benches/identify.py && python benches/tokens.py \
		&& python benches/issuers.py && python benches/host_files.py && python benches/over_ssh.py \
		&& exec python benches/site.py

clean: ## remove everything that the other targets made in this folder
	@scripts/clean.sh
