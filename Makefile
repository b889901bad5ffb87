# Carrito. The two commands a newcomer needs: make up, make test.

V ?= debug
ifeq ($(filter $(V),debug release asan cov chaos),)
$(error V=$(V): choose V=debug, release, asan, cov or chaos)
endif

CC ?= cc
Q := $(if $(VERBOSE),,@)
BUILD := build/$(V)
SRC := fcgi-app/src

# MUTANT=name: the same with one mistake built in, as a chaos build in a tree of its own.
ifdef MUTANT
V := chaos
BUILD := build/mutant-$(MUTANT)
SRC := $(BUILD)/src
ifneq ($(shell tests/consistency/mutants/apply $(MUTANT) $(SRC) >&2 && echo done),done)
$(error MUTANT=$(MUTANT) cannot be made)
endif
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wformat=2
FLAGS_debug := -O1 -g3
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=3
FLAGS_asan := -O1 -g3 -fsanitize=address,undefined -fno-sanitize-recover=all \
              -fno-omit-frame-pointer
FLAGS_cov := -O0 -g3 --coverage
# Can be stopped at each named step of the protocol: fcgi-app/src/base/step.h.
FLAGS_chaos := $(FLAGS_release) -DCARRITO_STEPS
LDFLAGS_release := -Wl,-z,relro,-z,now
LDFLAGS_chaos := $(LDFLAGS_release)
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_cov := --coverage

# Asked when something is compiled, not when make starts: make up installs pkg-config.
# Libraries' headers are system headers, so that our warnings are about our code.
CFLAGS_LIBS = -isystem /usr/include/hiredis \
    $(shell pkg-config --cflags libpq json-c talloc | sed 's/-I/-isystem /g')
LIBS = $(shell pkg-config --libs libpq json-c talloc) -lhiredis -lfcgi -lev

CPPFLAGS_OURS = -D_GNU_SOURCE -I$(SRC)
CFLAGS_OURS = -std=gnu17 $(WARN) -fPIE -fstack-protector-strong $(FLAGS_$(V))
LDFLAGS_OURS = -pie $(LDFLAGS_$(V))
COMPILE = $(CC) $(CPPFLAGS_OURS) $(CPPFLAGS) $(CFLAGS_OURS) $(CFLAGS) $(CFLAGS_LIBS) -MMD -MP

APP_SRCS := $(wildcard $(SRC)/*.c $(SRC)/*/*.c)
LIB_SRCS := $(filter-out $(SRC)/bin/%,$(APP_SRCS))
LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/obj/%.o)
SEED_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard seeder/*.c))
C_FILES = $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null)

.PHONY: help build up down status logs clean-data test check chaos soak mutants unit lint \
        fmt tidy cppcheck analyze fuzz clean report
.DELETE_ON_ERROR:
.SECONDARY:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

build: $(addprefix $(BUILD)/carrito-,fcgi keeper seed) ## compile (V=debug, release, asan, cov)

up: ## install what is missing, build, start everything on this machine, print the URL
	@dev/install up
	+@$(MAKE) --no-print-directory V=release build
	@V=release dev/stack up

down: ## stop what make up started; data stay
	@dev/stack down

status: ## say what runs
	@dev/stack status

logs: ## follow all logs
	@dev/stack logs

clean-data: ## drop the local database and cache (after make down)
	@dev/stack clean-data

# What the cache does, in figures; LOG=path: what that access log shows.
ifdef LOG
report: export REPORT_LOG := $(value LOG)
report:
	@dev/install analysis
	@report/analyse -- "$$REPORT_LOG"
else
report: ## loads with and without the cache, and what the log shows (LOG=path: of that log; RATE=400)
	@dev/install report
	+@$(MAKE) --no-print-directory V=release build
	+@$(MAKE) --no-print-directory report-programs
	@report/run $(if $(RATE),--rate '$(RATE)')
	@report/analyse --reports report --run report/out/run
endif

test: ## all tests, about 30 minutes
	@dev/install test
	+@$(MAKE) --no-print-directory V=release build
	+@$(MAKE) --no-print-directory V=debug build unit-programs
	+@$(MAKE) --no-print-directory V=asan build unit-programs
	+@$(MAKE) --no-print-directory V=chaos build consistency-programs
	+@$(MAKE) --no-print-directory fuzz-programs report-programs
	@tests/run test

check: ## the quick tests, about 3 minutes
	@dev/install test
	+@$(MAKE) --no-print-directory V=release build
	+@$(MAKE) --no-print-directory V=debug build unit-programs consistency-programs
	@tests/run check

# What proves that the cache is never stale: tests/consistency, tests/model.

chaos: consistency ## every fault several times under load, and the figures of availability
	@tests/consistency/chaos

soak: consistency ## faults at random for HOURS=1
	@tests/consistency/soak --hours $(or $(HOURS),1)

bench: measuring ## how fast it is, next to what could be: about 15 minutes
	@report/bench

.PHONY: bench measuring
measuring:
	@BROWSER_TESTS=off dev/install test
	+@$(MAKE) --no-print-directory V=release build
	+@$(MAKE) --no-print-directory report-programs

mutants: consistency ## each known mistake, built in, is caught
	@tests/consistency/mutants/run

.PHONY: consistency
consistency:
	@dev/install test
	+@$(MAKE) --no-print-directory V=chaos build consistency-programs
	+@$(MAKE) --no-print-directory V=release build

# Programs

$(BUILD)/carrito-fcgi $(BUILD)/carrito-keeper: $(BUILD)/%: \
    $(BUILD)/obj/$(SRC)/bin/%.o $(LIB_OBJS)
	@echo '  LD    $@'
	$(Q)$(CC) $(LDFLAGS_OURS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/carrito-seed: $(SEED_OBJS)
	@echo '  LD    $@'
	$(Q)$(CC) $(LDFLAGS_OURS) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs libpq)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC    $@'
	$(Q)$(COMPILE) -c -o $@ $<

# _FORTIFY_SOURCE takes a jump to another coroutine's stack for an attack: see co.c.
$(BUILD)/obj/$(SRC)/loop/co.o: CFLAGS_OURS += -U_FORTIFY_SOURCE

# Unit tests: one program for each tests/unit/**/test_*.c. A line `// wrap: a b` in it names
# functions that it replaces (the linker's --wrap).
UNIT_SRCS := $(shell find tests/unit -name 'test_*.c' 2>/dev/null)
UNIT_PROGRAMS := $(UNIT_SRCS:%.c=$(BUILD)/%)

.PHONY: unit-programs fuzz-programs
unit-programs: $(UNIT_PROGRAMS) $(BUILD)/tests/sql/statements

$(UNIT_PROGRAMS): $(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIB_OBJS)
	@mkdir -p $(@D)
	@echo '  LD    $@'
	$(Q)$(CC) $(LDFLAGS_OURS) $(LDFLAGS) \
	    $(addprefix -Wl$(comma)--wrap=,$(shell sed -n 's,^// wrap: ,,p' tests/unit/$*.c)) \
	    -o $@ $^ $(LIBS) -lcmocka

comma := ,

# Checks every SQL statement of the program against a database; run by tests/sql/run.
$(BUILD)/tests/sql/statements: $(BUILD)/obj/tests/sql/statements.o $(LIB_OBJS)
	@echo '  LD    $@'
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_OURS) $(LDFLAGS) -o $@ $^ $(LIBS)

unit: unit-programs ## the unit tests alone
	@for t in $(UNIT_PROGRAMS); do $$t || exit 1; done

# The load and the checker of histories: programs of their own, whatever V is.
CONSISTENCY := build/tests/consistency
CONSISTENCY_FLAGS = -D_GNU_SOURCE -std=gnu17 $(WARN) -fPIE $(FLAGS_release) -MMD -MP

.PHONY: consistency-programs
consistency-programs: $(CONSISTENCY)/load $(CONSISTENCY)/check

$(CONSISTENCY)/load: $(addprefix $(CONSISTENCY)/,load.o load_worker.o http_client.o history.o)
$(CONSISTENCY)/check: $(addprefix $(CONSISTENCY)/,check.o check_files.o check_order.o \
    check_figures.o check_report.o history.o)
$(CONSISTENCY)/load $(CONSISTENCY)/check:
	@echo '  LD    $@'
	$(Q)$(CC) -pie $(LDFLAGS_release) -o $@ $^

$(CONSISTENCY)/%.o: tests/consistency/%.c
	@mkdir -p $(@D)
	@echo '  CC    $@'
	$(Q)$(CC) $(CONSISTENCY_FLAGS) -c -o $@ $<

# What the measurements of report/ need besides: the floor, and the load of an open loop.
REPORT := build/report

.PHONY: report-programs
report-programs: $(REPORT)/floor $(REPORT)/load

$(REPORT)/floor: $(REPORT)/floor.o
	@echo '  LD    $@'
	$(Q)$(CC) -pie $(LDFLAGS_release) -o $@ $^ -lev -lfcgi

$(REPORT)/load: $(REPORT)/load.o $(CONSISTENCY)/http_client.o $(CONSISTENCY)/history.o
	@echo '  LD    $@'
	$(Q)$(CC) -pie $(LDFLAGS_release) -o $@ $^ -lm

$(REPORT)/%.o: report/%.c
	@mkdir -p $(@D)
	@echo '  CC    $@'
	$(Q)$(CC) $(CONSISTENCY_FLAGS) -c -o $@ $<

# Fuzzers: clang's libFuzzer over the same sources

FUZZ_SRCS := $(wildcard tests/fuzz/*.c)
FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_OBJS := $(LIB_SRCS:%.c=build/fuzz/obj/%.o)

fuzz-programs: $(FUZZ_SRCS:tests/fuzz/%.c=build/fuzz/%)

build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC    $@'
	$(Q)clang $(CPPFLAGS_OURS) -std=gnu17 $(WARN) $(FUZZ_FLAGS) $(CFLAGS_LIBS) -MMD -MP -c -o $@ $<

build/fuzz/%: build/fuzz/obj/tests/fuzz/%.o $(FUZZ_OBJS)
	@echo '  LD    $@'
	$(Q)clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)

fuzz: fuzz-programs ## fuzz for one minute
	tests/fuzz/run 60

# Style and static checks

lint: ## layers, format, static analysis, documents
	tests/lint/run

CHECKED = $(filter-out tests/unit/%,$(filter %.c,$(C_FILES)))

fmt: ## format all C files
	clang-format -i $(C_FILES)

tidy: ## clang-tidy
	@printf '%s\n' $(CHECKED) | xargs -P "$$(nproc)" -n 4 sh -c 'clang-tidy --quiet "$$@" \
	    -- $(CPPFLAGS_OURS) -std=gnu17 $(CFLAGS_LIBS) 2>/dev/null' tidy

cppcheck: ## cppcheck
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --suppress=missingIncludeSystem --error-exitcode=1 -D_GNU_SOURCE -I$(SRC) \
	    $(CHECKED)

analyze: ## gcc's own analyzer
	+@$(MAKE) --no-print-directory V=debug BUILD=build/analyze CFLAGS='-fanalyzer' build

clean: ## remove what was compiled
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
