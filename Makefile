# The commands of README.md. Each does its own set-up: packages (scripts/setup.sh), llama.cpp (scripts/llama.sh).
# PRESET=dev|asan|tsan|fuzz picks another CMake preset; docs/hacking.md says what each is for.
PRESET ?= release
BUILD = build/$(PRESET)
JOBS ?= $(shell nproc)
CTEST = ctest --test-dir $(BUILD) --output-on-failure --no-tests=error

.PHONY: all demo demo-model demo-model-eval test unit e2e asan tsan fuzz lint format bench bench-full bench-spine chaos sim-faults tools clean help

all: setup llama ## build build/release/bin/shoal
	@cmake --preset $(PRESET) >/dev/null
	@cmake --build $(BUILD) -j $(JOBS) --target shoal

demo: all ## a coordinator and four nodes on loopback, and an answer
	@scripts/demo.sh $(BUILD)/bin

demo-model: all ## train models/shoal-demo.gguf anew from tools/demo_model (its README says how long)
	@scripts/setup.sh demo-model
	@/usr/bin/python3 tools/demo_model/train.py --out build/demo-model
	@SHOAL_BIN=$(BUILD)/bin /usr/bin/python3 tools/demo_model/export.py --run build/demo-model --out models/shoal-demo.gguf --check

demo-model-eval: all ## what the demo model answers to questions it never saw, on 4, 1 and 8 nodes; writes models/EVAL.txt
	@SHOAL_BIN=$(BUILD)/bin python3 tools/demo_model/evaluate.py --report models/EVAL.txt

test: ## every test: unit, end to end, sanitizers, fuzzing, style
	@scripts/test.sh

tools: setup-test llama ## everything of a preset: tests, test tools, benchmarks
	@cmake --preset $(PRESET) -DSHOAL_TESTS=ON >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)

unit: tools ## the unit tests of PRESET
	@$(CTEST) -L unit -j $(JOBS)

e2e: tools ## the end-to-end tests of PRESET: real processes, real sockets
	@$(CTEST) -L e2e -j $(JOBS)

asan tsan: ## the unit tests under AddressSanitizer and UBSan, or ThreadSanitizer
	@$(MAKE) --no-print-directory PRESET=$@ unit

fuzz: setup-test llama ## every fuzz target for FUZZ_SECONDS (default 10) from the committed corpus
	@scripts/fuzz.sh

lint: setup-test llama ## clang-format and clang-tidy over all sources
	@scripts/lint.sh

format: ## reformat the sources in place
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

bench: ## beside llama.cpp, part of the table, under 10 minutes; writes bench/results/bench.md and scheduler.md
	@scripts/bench.sh bench

bench-full: ## all of the table, with a 7B model: hours; writes bench/results/bench-full.md and scheduler.md
	@scripts/bench.sh bench --form full

bench-spine: ## what a shoal costs in itself: hops, memory, idling, exactness, known beginnings; writes bench/results/
	@scripts/bench.sh spine

chaos: ## faults of every kind, with real processes: hours; writes bench/results/chaos.md and docs/reliability.md
	@scripts/bench.sh chaos --publish

sim-faults: ## faults of every kind, simulated: ten minutes of each seed of SEEDS=1:2001 (the last not included); ARGS for shoal-sim
	@SEEDS=$(SEEDS) scripts/sim_faults.sh $(ARGS)

clean: ## remove build/
	@rm -rf build

help: ## list these targets
	@sed -n 's/^\([a-z][a-z0-9 -]*\):.*## \(.*\)/  \1: \2/p' $(MAKEFILE_LIST)

.PHONY: setup setup-test llama
setup:
	@scripts/setup.sh build
setup-test:
	@scripts/setup.sh test
llama: setup
	@scripts/llama.sh libs
