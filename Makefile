# Each target calls the real thing; where there is no make, run the script.
.PHONY: run test lint e2e soak bench

run: ## start everything on this machine, with a demonstration source
	@sh scripts/run.sh

test: ## unit, contract and integration tests
	@sh scripts/test.sh

lint: ## style and types
	@sh scripts/lint.sh

e2e: ## the compose tests, with a Docker engine if there is one
	@sh scripts/e2e.sh

soak: ## long tests: hundreds of kills, large releases
	@FLEET_SOAK=1 sh scripts/test.sh -m soak

bench: ## measure beside what users would otherwise pick
	@sh scripts/bench.sh
