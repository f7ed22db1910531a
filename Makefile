# gyre: build, test, install. `make help` lists the targets; every folder is a wildcard, so new files need no edit here.
BUILD  ?= build
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
CC     := $(if $(filter default,$(origin CC)),gcc,$(CC))
# x86_64 or aarch64: which of the files and folders that bear a machine's name are compiled.
MACHINE := $(or $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null))),$(shell uname -m))
VERSION := 0.1.0
SOVERSION := 0
OBJCOPY ?= objcopy

WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(CI),-Werror)
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread -fvisibility=hidden -D_GNU_SOURCE \
	-DGYRE_VERSION='"$(VERSION)"' -I. -Icpu/$(MACHINE) -MMD -MP $(SAN) $(if $(SAN),-DGYRE_SANITIZED -DGYRE_CHECK=1) $(EXTRA)
LDFLAGS_ALL := -pthread $(SAN) $(LDFLAGS)

# The levels of a machine: kernels/cpu_<machine>.c is their table.
ISAS_x86_64  := avx2 avxvnni avx512vnni zen4 amx
ISAS_aarch64 := neon i8mm
# Those with a model (tests/kernels/models/).
MODELS_x86_64 := avxvnni amx
# Kernels are the product: they get the full optimizer. No flag here may change a rounding. Lines suffice for debugging them: to follow
# variables through unrolled loops costs a third of their compile time. Under a sanitizer -O3 takes five times as long (avx2/matmul_k3.c by gcc:
# 78 s and 810 MB, not 14 s and 326 MB).
KERNEL_CFLAGS := $(if $(SAN),-O1,-O3) -g1
# The folder is the compiler flag: what its files get beside ALL_CFLAGS.
flags_client             := -fPIC
flags_shm                := -fPIC
flags_kernels/ref        := $(KERNEL_CFLAGS)
flags_kernels/avx2       := $(KERNEL_CFLAGS) -mavx2 -mfma -mf16c
flags_kernels/avxvnni    := $(flags_kernels/avx2) -mavxvnni
flags_kernels/avx512vnni := $(flags_kernels/avx2) -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mprefer-vector-width=512
flags_kernels/zen4       := $(flags_kernels/avx512vnni)
flags_kernels/amx        := $(flags_kernels/avx512vnni)
flags_kernels/neon       := $(KERNEL_CFLAGS) -march=armv8.2-a+dotprod
flags_kernels/i8mm       := $(flags_kernels/neon)+i8mm

LIBS_DAEMON := -luring -lnuma -lpcre2-8 -lutf8proc -ljansson -lsystemd -lseccomp -lmicrohttpd -lm
LIBS_TOOLS  := -ledit -lncursesw -levent_extra -levent_core
LIBS_MALLOC := $(if $(SAN),,-ljemalloc)

SHM_SRC    := $(wildcard shm/*.c)
KERNEL_SRC := $(filter-out kernels/cpu_%,$(wildcard kernels/*.c)) kernels/cpu_$(MACHINE).c \
	$(foreach isa,ref $(ISAS_$(MACHINE)),$(wildcard kernels/$(isa)/*.c))
DAEMON_SRC := $(filter-out daemon/main.c,$(wildcard daemon/*.c daemon/*/*.c))
CLIENT_SRC := $(wildcard client/*.c)
TOOLS_SRC  := $(wildcard tools/*.c)
TEST_SRC   := $(sort $(wildcard tests/*/test_*.c tests/*/*/test_*.c))
TEST_UTIL  := $(wildcard tests/util/*.c)
FUZZ_SRC   := $(wildcard tests/fuzz/fuzz_*.c)

# `make V=1` shows whole commands.
Q := $(if $(V),,@)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
CORE_OBJ := $(call obj,$(SHM_SRC) $(KERNEL_SRC) $(DAEMON_SRC)) $(BUILD)/obj/templates.o
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))

.PHONY: all man test check model-steps arm64 arm64-ci bench system system-numa hostile health soak golden asan ubsan tsan ndebug fuzz lint fmt coverage install uninstall deb system-boot dist distcheck run help clean
.SECONDARY:
.DELETE_ON_ERROR:

COMPLETIONS := $(foreach c,gyred gyre,$(foreach s,bash zsh fish,$(BUILD)/completions/$(c).$(s)))
all: $(BUILD)/gyred $(BUILD)/gyre $(BUILD)/libgyre.a $(BUILD)/libgyre.so $(COMPLETIONS) ## build everything

# What a program's own tables say; the option parts of its man pages, which are committed, come from there, too.
$(BUILD)/completions/gyred.%: $(BUILD)/gyred
	@mkdir -p $(@D)
	$(Q)$< --print $* > $@
$(BUILD)/completions/gyre.%: $(BUILD)/gyre
	@mkdir -p $(@D)
	$(Q)$< completion $* > $@
man: $(BUILD)/gyred ## write the option parts of gyred(8) and gyred.conf(5) again from the table of options
	tools/fill-man $(BUILD)/gyred

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo CC $<)
	$(Q)$(CC) $(ALL_CFLAGS) $(flags_$(patsubst %/,%,$(dir $<))) -c -o $@ $<

# Chat templates that gyred brings along: a file each.
TEMPLATES := $(sort $(wildcard daemon/text/templates/*.jinja))
$(BUILD)/obj/templates.c: $(TEMPLATES) tools/embed-templates
	@mkdir -p $(@D)
	$(Q)tools/embed-templates $(TEMPLATES) > $@
$(BUILD)/obj/templates.o: $(BUILD)/obj/templates.c
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/gyred: $(BUILD)/obj/daemon/main.o $(CORE_OBJ)
	$(if $(V),,@echo LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_DAEMON) $(LIBS_MALLOC)
$(BUILD)/gyre: $(call obj,$(TOOLS_SRC) $(CLIENT_SRC)) $(CORE_OBJ)
	$(if $(V),,@echo LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_DAEMON) $(LIBS_TOOLS) $(LIBS_MALLOC)
# One object whose hidden symbols are local, so that the archive, too, defines what gyre.map names and nothing else.
$(BUILD)/libgyre.a: $(call obj,$(CLIENT_SRC) $(SHM_SRC))
	@rm -f $@
	$(if $(V),,@echo AR $@)
	$(Q)$(LD) -r -o $(BUILD)/obj/libgyre.o $^
	$(Q)$(OBJCOPY) --localize-hidden $(BUILD)/obj/libgyre.o
	$(Q)$(AR) rcs $@ $(BUILD)/obj/libgyre.o
$(BUILD)/libgyre.so: $(call obj,$(CLIENT_SRC) $(SHM_SRC)) client/gyre.map
	$(if $(V),,@echo LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -shared -Wl,-soname,libgyre.so.$(SOVERSION) -Wl,--version-script=client/gyre.map -o $@ $(filter %.o,$^)
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(call obj,$(TEST_UTIL) $(CLIENT_SRC)) $(CORE_OBJ)
	@mkdir -p $(@D)
	$(if $(V),,@echo LD $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka -lutil $(LIBS_DAEMON) $(LIBS_MALLOC)

# A level with its rare instructions in portable C (tests/kernels/models/): the same files, one object, and of its names the override.
# (psabi: wide vectors go between functions that are inlined.)
$(BUILD)/obj/models/kernels/%.o: kernels/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo CC $< "(model)")
	$(Q)$(CC) -Itests/kernels/models $(ALL_CFLAGS) $(flags_kernels/avx2) -Wno-psabi -c -o $@ $<
model = $(patsubst %.c,$(BUILD)/obj/models/%.o,$(wildcard kernels/$(1)/*.c))
MODELS := $(patsubst %,$(BUILD)/obj/models/%.o,$(MODELS_$(MACHINE)))
$(BUILD)/obj/models/avxvnni.o: $(call model,avxvnni)
$(BUILD)/obj/models/amx.o: $(call model,amx)
$(MODELS):
	$(Q)$(LD) -r -o $@ $^
	$(Q)objcopy --keep-global-symbol=model_$(basename $(@F))_override \
		--redefine-sym kernels_$(basename $(@F))_override=model_$(basename $(@F))_override $@
$(BUILD)/tests/kernels/test_kernels: $(BUILD)/obj/tests/kernels/models/$(MACHINE).o $(MODELS)

test: all $(TEST_BIN) $(if $(NO_FUZZ),,fuzz) ## build and run every test; the last line counts them
	@BUILD=$(BUILD) tools/run-tests $(TEST_BIN)
check: test

FUZZ_SECONDS ?= 30
FUZZ_CC ?= clang
# Empty: without sanitizers, which is a few times as fast; needs a BUILD of its own.
FUZZ_SAN ?= ,address,undefined
fuzz: ## fuzz targets, FUZZ_SECONDS (30) each; skipped with a word when clang is missing
	+@FUZZ_CC=$(FUZZ_CC) SECONDS_EACH=$(FUZZ_SECONDS) BUILD=$(BUILD) tools/run-fuzz $(FUZZ_SRC)

# Always asked: what it is linked from is known to the inner make only.
$(BUILD)/fuzz/%: tests/fuzz/%.c FORCE
	@mkdir -p $(BUILD)/fuzz
	$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzzobj CC=$(FUZZ_CC) SAN="-fsanitize=fuzzer-no-link$(FUZZ_SAN)" \
		EXTRA=-DGYRE_FUZZ fuzz-link FUZZ_TARGET=$* FUZZ_OUT=$@
.PHONY: FORCE
# What reads bytes of others, and what that stands on; kernels for each ISA would take most of the time.
FUZZ_DIR  := shm kernels/ref daemon/util daemon/machine daemon/gguf daemon/jinja daemon/text daemon/flow daemon/session daemon/prompt daemon/stream daemon/op daemon/intake
FUZZ_CORE := $(wildcard $(FUZZ_DIR:%=%/*.c)) kernels/quant.c daemon/control/handshake.c
# What one target stands on beside that: an architecture's row names its pass, and so all blocks.
FUZZ_fuzz_model := $(wildcard $(foreach d,model weights team kv,daemon/$(d)/*.c)) kernels/kvq.c kernels/tile.c
fuzz-link: $(BUILD)/obj/tests/fuzz/$(FUZZ_TARGET).o $(call obj,$(FUZZ_CORE) $(FUZZ_$(FUZZ_TARGET))) $(BUILD)/obj/templates.o
	$(Q)$(CC) -fsanitize=fuzzer$(FUZZ_SAN) -pthread -o $(FUZZ_OUT) $^ $(LIBS_DAEMON)

asan: ## tests under AddressSanitizer
	TEST_TIMEOUT=1200 $(MAKE) BUILD=build/asan SAN="-fsanitize=address" NO_FUZZ=1 test
ubsan: ## tests under UndefinedBehaviorSanitizer
	TEST_TIMEOUT=1200 $(MAKE) BUILD=build/ubsan SAN="-fsanitize=undefined -fno-sanitize-recover=undefined" NO_FUZZ=1 test
tsan: ## tests under ThreadSanitizer
	TEST_TIMEOUT=3600 $(MAKE) BUILD=build/tsan SAN="-fsanitize=thread" NO_FUZZ=1 test
ndebug: ## tests with asserts off
	$(MAKE) BUILD=build/ndebug EXTRA=-DNDEBUG NO_FUZZ=1 test

# The whole project as arm64, on this machine: a cross compiler, libraries in a folder, programs under qemu-aarch64.
ARM64_ROOT := $(abspath build/arm64/root)
ARM64_MAKE = ARM64_ROOT=$(ARM64_ROOT) $(MAKE) BUILD=build/arm64 CC=$(CURDIR)/tools/arm64/cc LD=aarch64-linux-gnu-ld \
	AR=aarch64-linux-gnu-ar OBJCOPY=aarch64-linux-gnu-objcopy OBJDUMP=aarch64-linux-gnu-objdump CXX=none NO_FUZZ=1
$(ARM64_ROOT)/.done: tools/arm64/root
	tools/arm64/root $(ARM64_ROOT)
arm64: $(ARM64_ROOT)/.done ## build for arm64 and run every test under qemu-aarch64
	+GYRE_TEST_EMULATED=1 TEST_TIMEOUT=3600 $(ARM64_MAKE) test
ARM64_TEST := $(patsubst %.c,build/arm64/%,$(wildcard tests/kernels/test_*.c))
arm64-ci: all ## the kernels' tests as arm64, and an answer of its gyred beside one of this machine's; skipped with a word where apt has no libraries for it
	+@if why=$$(tools/arm64/root $(ARM64_ROOT) 2>&1); then \
		$(ARM64_MAKE) all $(ARM64_TEST) && \
		GYRE_TEST_EMULATED=1 BUILD=build/arm64 HOST_BUILD=$(BUILD) OBJDUMP=aarch64-linux-gnu-objdump \
			tools/run-tests $(ARM64_TEST) tests/system/arm64/answer; \
	else \
		printf 'skipped:\n  arm64: %s\n0 passed, 0 failed\n' "$$(echo "$$why" | tail -n 1)"; \
	fi

system: all $(filter $(BUILD)/tests/system/%,$(TEST_BIN)) ## only the tests that boot the real daemon
	@BUILD=$(BUILD) tools/run-tests $(filter $(BUILD)/tests/system/%,$(TEST_BIN))
system-numa: all $(BUILD)/tests/system/numa/guest ## gyred on two NUMA nodes, in an emulated machine; skipped with a word without qemu
	@BUILD=$(BUILD) tools/run-tests tests/system/numa/boot
HOSTILE_ENTRIES ?= 10000000
HOSTILE_ROUNDS ?= 1000
TIMING_TRIALS    ?= 10000
hostile: all $(filter $(BUILD)/tests/hostile/%,$(TEST_BIN)) ## attacks on the real daemon, at length: HOSTILE_ENTRIES (10,000,000) refused entries, HOSTILE_ROUNDS (1000) timed requests, TIMING_TRIALS (10,000) guesses
	@BUILD=$(BUILD) GYRE_HOSTILE_ENTRIES=$(HOSTILE_ENTRIES) GYRE_HOSTILE_ROUNDS=$(HOSTILE_ROUNDS) GYRE_TIMING_TRIALS=$(TIMING_TRIALS) TEST_TIMEOUT=3600 tools/run-tests $(filter $(BUILD)/tests/hostile/%,$(TEST_BIN))
HEALTH_SECONDS ?= 1800
health: all $(BUILD)/tests/system/test_health $(BUILD)/tests/system/calm ## threads stopped at all points, then no false alarm in HEALTH_SECONDS (1800) of long prompts and as many of rest
	BUILD=$(BUILD) GYRE_HEALTH_POINTS=all $(BUILD)/tests/system/test_health
	BUILD=$(BUILD) $(BUILD)/tests/system/calm $(HEALTH_SECONDS)
SOAK_SECONDS ?= 600
SOAK_REPLICAS ?= 1
soak: all $(BUILD)/tests/system/soak ## hostile and honest clients at a live daemon of SOAK_REPLICAS (1) for SOAK_SECONDS (600)
	BUILD=$(BUILD) $(BUILD)/tests/system/soak $(SOAK_SECONDS) $(SOAK_REPLICAS)
model-steps: $(BUILD)/tests/daemon/sched/test_model ## a million steps of scheduler and pool, of all that can happen to them
	GYRE_MODEL_STEPS=1000000 $(BUILD)/tests/daemon/sched/test_model
golden: ## make the golden files again from the independent references (needs the packages tools/golden/README.md names)
	for s in tools/golden/*.py; do python3 $$s || exit 1; done

MODEL ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gyre/SmolLM2-135M-Instruct-Q4_1.gguf
bench: all ## speed of the default model, of the team and of the rings
	$(BUILD)/gyre bench model -m $(MODEL) -p 512 -n 64
	$(BUILD)/gyre bench team
	$(BUILD)/gyre bench ring --model $(MODEL)

run: ## install what is missing, build, fetch the default model, ask it a question through the rings
	tools/setup
	@echo "building with $$(nproc) jobs: some three minutes of CPU time in all"
	+$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc)) all
	tools/fetch-model
	BUILD=$(BUILD) tools/run-demo $(MODEL)

lint: ## formatting, include rules, names
	tools/lint
fmt: ## format the C sources
	clang-format -i $$(git ls-files '*.c' '*.h')
coverage: ## line coverage of the tests (gcov)
	$(MAKE) BUILD=build/coverage CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage NO_FUZZ=1 test
	gcov -r -n $$(find build/coverage/obj -name '*.gcda') | grep -A1 "^File '\(daemon\|shm\|kernels\|client\)" | grep -v '^--'

# Where a distribution wants libraries and units elsewhere, it says so (systemd/debian/rules).
LIBDIR ?= $(PREFIX)/lib
UNITDIR ?= $(PREFIX)/lib/systemd/system
FILL_UNIT = sed -e 's|@SBINDIR@|$(PREFIX)/sbin|; s|@BINDIR@|$(PREFIX)/bin|; s|@SYSCONFDIR@|$(SYSCONFDIR)|'
# An instance is the service with another configuration and socket.
INSTANCE := -e 's|gyred\.conf$$|%i.conf|; s|gyred\.socket|gyred@%i.socket|; s|gyre\.sock|%i.sock|; s|daemon$$|daemon %i|; s|^RuntimeDirectory=gyred$$|&-%i|'
# From 253 on systemd waits for the end of a reload; one that does not know the word warns of it at each start.
HAS_NOTIFY_RELOAD = $(shell v=$$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p'); [ "$${v:-0}" -lt 253 ] || echo yes)
PAGES = $(wildcard client/man/*.[1-8] tools/man/*.[1-8])
# Where a shell looks for a program's completion.
COMPLETIONS_bash = bash-completion/completions/
ZSH_FOLDER ?= zsh/site-functions
COMPLETIONS_zsh = $(ZSH_FOLDER)/_
COMPLETIONS_fish = fish/vendor_completions.d/
completion = $(DESTDIR)$(PREFIX)/share/$(COMPLETIONS_$(patsubst .%,%,$(suffix $(1))))$(basename $(notdir $(1)))$(if $(filter %.fish,$(1)),.fish)
install: all ## install under PREFIX (/usr/local), with units for systemd
	install -Dm755 -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/gyre
	install -Dm755 -t $(DESTDIR)$(PREFIX)/sbin $(BUILD)/gyred
	install -Dm644 -t $(DESTDIR)$(LIBDIR) $(BUILD)/libgyre.a
	install -Dm755 $(BUILD)/libgyre.so $(DESTDIR)$(LIBDIR)/libgyre.so.$(VERSION)
	ln -sf libgyre.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libgyre.so.$(SOVERSION)
	ln -sf libgyre.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libgyre.so
	install -Dm644 -t $(DESTDIR)$(PREFIX)/include client/gyre.h
	install -Dm644 shm/abi.h $(DESTDIR)$(PREFIX)/include/gyre/abi.h
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|; s|@VERSION@|$(VERSION)|' \
		client/gyre.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/gyre.pc
	for m in $(PAGES); do install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man$${m##*.} $$m; done
	$(foreach c,$(COMPLETIONS),install -Dm644 $(c) $(call completion,$(c)) &&) true
	install -Dm644 -t $(DESTDIR)$(UNITDIR) systemd/gyre.slice
	for k in service socket; do \
		$(FILL_UNIT) systemd/gyred.$$k.in > $(DESTDIR)$(UNITDIR)/gyred.$$k && \
		$(FILL_UNIT) $(INSTANCE) systemd/gyred.$$k.in > $(DESTDIR)$(UNITDIR)/gyred@.$$k || exit 1; \
	done
	for d in $(if $(HAS_NOTIFY_RELOAD),gyred.service gyred@.service); do \
		install -Dm644 -t $(DESTDIR)$(UNITDIR)/$$d.d systemd/notify-reload.conf; done
	$(FILL_UNIT) systemd/gyred-hugepages.service.in > $(DESTDIR)$(UNITDIR)/gyred-hugepages.service
	install -Dm644 systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/gyre.conf
	install -Dm644 systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/gyre.conf
	install -Dm644 -t $(DESTDIR)$(PREFIX)/lib/systemd/catalog systemd/gyre.catalog
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/gyre tools/grafana/gyre.json
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/gyre/bpftrace tools/bpftrace/*.bt
	install -Dm644 systemd/preset $(DESTDIR)$(PREFIX)/lib/systemd/system-preset/90-gyre.preset
	[ -e $(DESTDIR)$(SYSCONFDIR)/gyre/gyred.conf ] || install -Dm644 -t $(DESTDIR)$(SYSCONFDIR)/gyre systemd/gyred.conf
	[ -n "$(DESTDIR)" ] || ldconfig $(LIBDIR)
	[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || { systemd-sysusers; systemd-tmpfiles --create gyre.conf; \
		journalctl --update-catalog; systemctl daemon-reload; } # what a package's scripts do
uninstall: ## remove what install put there, but for the configuration
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,gyred.service gyred.socket gyred@.service gyred@.socket gyre.slice gyred-hugepages.service)
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/gyre.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/gyre.conf \
		$(DESTDIR)$(PREFIX)/lib/systemd/system-preset/90-gyre.preset $(DESTDIR)$(PREFIX)/lib/systemd/catalog/gyre*.catalog
	rm -rf $(DESTDIR)$(UNITDIR)/gyred.service.d $(DESTDIR)$(UNITDIR)/gyred@.service.d $(DESTDIR)$(PREFIX)/share/gyre $(DESTDIR)$(PREFIX)/include/gyre
	rm -f $(DESTDIR)$(PREFIX)/bin/gyre $(DESTDIR)$(PREFIX)/sbin/gyred $(DESTDIR)$(LIBDIR)/libgyre.* \
		$(DESTDIR)$(PREFIX)/include/gyre.h $(DESTDIR)$(LIBDIR)/pkgconfig/gyre.pc
	for m in $(notdir $(PAGES)); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$m; done
	$(foreach c,$(COMPLETIONS),rm -f $(call completion,$(c)) &&) true
	[ -n "$(DESTDIR)" ] || ldconfig
	[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || { journalctl --update-catalog; systemctl daemon-reload; }

deb: ## Debian packages, in build/deb; installs what it takes to make them
	tools/setup --deb
	+@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL tools/make-deb
system-boot: deb $(BUILD)/tests/system/systemd/model ## the packages in a Debian that has booted: used, broken, upgraded, purged; skipped with a word where it can't be had
	@BUILD=$(BUILD) tools/run-tests tests/system/systemd/boot

dist: ## source tarball
	git archive --prefix=gyre-$(VERSION)/ -o gyre-$(VERSION).tar.gz HEAD
distcheck: dist ## build and test the tarball in a new directory
	rm -rf build/distcheck && mkdir -p build/distcheck && tar xzf gyre-$(VERSION).tar.gz -C build/distcheck
	$(MAKE) -C build/distcheck/gyre-$(VERSION) NO_FUZZ=1 test

clean: ## remove the build
	rm -rf $(BUILD)
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-11s %s\n", $$1, $$2}' Makefile

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
