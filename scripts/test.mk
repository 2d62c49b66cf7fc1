# What `make check` and `make test` do, as steps: scripts/test.sh lets make run two side by side where neither waits for the other.
# A step is a title and a command, behind a colon what has to be done before.
SHELL := /bin/bash
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
step := scripts/step.sh

lints := format shell python prose go ansible clippy
.PHONY: check test

check: $(filter-out $(LEFT_OUT),$(lints)) quick
# Two lines of steps, one for each processor, which take about as long: what is in Rust with some of the playbooks, and all others.
# make alone would leave to the end what waits for another step, and a processor without work.
test: $(lints) clippy-native crates rust rust-native playbooks-first containers machines playbooks collection

# Lints
.PHONY: $(lints) clippy-native crates
format:
	@$(step) "Rust: formatting" cargo fmt --check
shell:
	@$(step) "Shell scripts: lint" shellcheck --external-sources scripts/*.sh tests/machine/init $$(git ls-files '*.sh') .ci/run
python:
	@$(step) "Python: lint" ruff check --quiet
go:
	@$(step) "Go: formatting, vet and tests" tests/go/build.sh --test
prose:
	@$(step) "Prose: documents, task names, messages" scripts/prose.sh
ansible:
	@$(step) "Ansible: lint" ansible-lint --profile production $(ANSIBLE_FILES)
clippy:
	@$(step) "Rust: lints" cargo clippy --locked --all-targets -- -D warnings
clippy-native: clippy
	@$(step) "Rust: lints, without libtss2" cargo clippy --locked --all-targets --no-default-features -- -D warnings
# The advisories' database is elsewhere: the scheduled workflow asks it.
crates:
	@$(step) "Rust: licences, duplicates and sources of crates" cargo deny --locked check licenses bans sources

# Rust. One step at a time builds and runs what is in target/debug, which has one place for the binary of both ways to the TPM.
.PHONY: quick rust rust-native
quick: clippy
	@$(step) "Rust: unit tests, and integration tests but the slow ones" cargo test --locked --lib --bins --test it -- --skip slow_
rust: clippy-native
	@$(step) "Rust: tests" cargo test --locked
# All other tests are the same without libtss2, and so is what reads most of the TPM's states.
rust-native: rust
	@$(step) "Rust: tests of the TPM, without libtss2" env TBOT_TPM_STATES=100 cargo test --locked --no-default-features --lib --bins --test it -- \
		tpm:: protocol:: host::access::

# The collection
.PHONY: dist playbooks-first playbooks collection containers machines
dist:
	@$(step) "The release: binaries and collection" scripts/dist.sh
# A playbook keeps more than one processor busy. Two more at a time, beside another step's, would mostly wait for each other: Ansible asks
# a thousand times a second whether a task has ended. So these are a step of each line. The last step has both processors.
first_tests := check_token ekcert_cas first_seconds join_token over_ssh own_playbook plugin_connections plugin_platforms \
	plugin_validation report tctl transport two_bots wrong_proxy
first_tests := $(addprefix tests/playbooks/test_,$(addsuffix .py,$(first_tests)))
playbooks-first: dist go rust-native
	@$(step) "Playbooks: the token, how hosts are reached, and the report" python -m pytest $(first_tests)
playbooks: dist go machines
	@$(step) "Playbooks: all others" python -m pytest tests/playbooks $(addprefix --ignore=,$(first_tests))
collection: dist go playbooks
	@$(step) "The collection, installed" python -m pytest --numprocesses 2 --dist loadfile tests/collection
# Both have one place for the stand-in for a cluster, so they wait for each other.
containers: dist go
	@$(step) "Containers of several distributions" scripts/scenarios.sh distros
# The second scenario goes on with the machines of the first.
machines: containers
	@$(step) "Machines with a TPM, and a fleet's life on them" scripts/scenarios.sh vm lifecycle
