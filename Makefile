# Two commands do everything on a fresh machine: `make up` and `make test`.
CARGO ?= cargo
LOCALAWS = target/release/localaws

.PHONY: up build setup test lint bench bench-api bench-proxies soak fuzz clean

up: build ## Build and run the main job: tier-10k, ends with its endpoints; Ctrl-C takes it down.
	$(LOCALAWS) up topologies/tier-10k.yaml $(UP)

build: setup
	$(CARGO) build --release --locked -p daemon -p storefront

setup: ## Install what building needs and is missing. Engines need no installing: see the README.
	@scripts/setup

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

test: lint ## Everything that has to hold, live tests included.
	$(CARGO) build --workspace --locked --bins --examples
	scripts/test

bench: build ## Figures of the README, on this machine.
	scripts/bench $(BENCH)

bench-api: build ## The AWS API beside moto's server and MiniStack.
	scripts/bench-api $(BENCH)

bench-proxies: build ## The data plane beside HAProxy, nginx and Knot.
	scripts/bench-proxies $(BENCH)

soak: build ## Random fault schedules by the thousand, in virtual time.
	$(LOCALAWS) rehearse topologies/tier-10k.yaml --seeds $(or $(SEEDS),10000)

fuzz: setup ## Property tests with many more cases than `make test` takes.
	PROPTEST_CASES=$(or $(CASES),20000) $(CARGO) test --locked -p topologies -p chaos -p proxies -p wire
	$(CARGO) build --locked -p wire --example echo
	"$$(scripts/pyenv)/bin/python" wire/fuzz/fuzz.py --rounds $(or $(ROUNDS),20)

clean:
	$(CARGO) clean
