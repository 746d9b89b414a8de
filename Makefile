LUA ?= lua5.4
CC ?= cc
CFLAGS ?= -O3 -g
LUA_CFLAGS := $(shell pkg-config --cflags lua5.4)
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
COMMON := -std=c11 -fPIC -fvisibility=hidden -fopenmp -pthread -MMD -MP $(WARNINGS) -Icsrc $(LUA_CFLAGS)
LIBS := -lopenblas -lz -lm

SOURCES := $(filter-out csrc/lua/cpu.c,$(wildcard csrc/*/*.c))
FLOAT := $(SOURCES:csrc/%.c=build/float/%.o)
DOUBLE := $(SOURCES:csrc/%.c=build/double/%.o)

all: build/secateur/core.so build/secateur/core_double.so

build/secateur/core.so: $(FLOAT)
build/secateur/core_double.so: $(DOUBLE)
build/secateur/%.so:
	@mkdir -p $(@D)
	$(CC) -shared -fopenmp -pthread $(LDFLAGS) -o $@ $^ $(LIBS)

build/float/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(COMMON) -c -o $@ $<
build/double/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(COMMON) -DSC_REAL_IS_DOUBLE -c -o $@ $<

-include $(FLOAT:.o=.d) $(DOUBLE:.o=.d)
clean:
	rm -rf build
.PHONY: all clean
