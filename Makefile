# rustup puts cargo here, and `sudo make` or a shell of before does not look there.
export PATH := $(HOME)/.cargo/bin:$(PATH)

help:   ## list these words
	@sed -nE 's/^([a-z-]+):.*## /  make \1\t/p' $(MAKEFILE_LIST)

run:    ## build the box, start it here and print a link and a QR code for each person
	@tests/setup/machine run && cargo run --locked -p pttd -- run --invite-everyone --config tests/setup/run.toml --state run

check:  ## format, lints, licences and sources of every dependency
	@tests/setup/machine check && tests/setup/check

test:   ## check, then every test, with real browsers
	@tests/setup/machine test && tests/setup/check && tests/setup/test

bench:  ## measure, and print the figures as a table
	@tests/setup/machine bench && tests/setup/bench

cross:  ## build pttd for 64-bit ARM
	@tests/setup/machine cross && tests/setup/cross

test-vm: ## boot that in a machine with real GPIO, serial, USB and sound drivers, and test it there
	@tests/setup/machine vm && tests/vm/test

.PHONY: help run check test bench cross test-vm
