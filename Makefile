BUILD ?= build
LUA ?= lua5.4
CC ?= cc
CFLAGS ?= -O3 -g
LUA_CFLAGS := $(shell pkg-config --cflags lua5.4)
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
COMMON := -std=c11 -fPIC -fvisibility=hidden -fopenmp -pthread -MMD -MP $(WARNINGS) -Icsrc $(LUA_CFLAGS)
LIBS := -lopenblas -lz -lm

SOURCES := $(filter-out csrc/lua/cpu.c,$(wildcard csrc/*/*.c))
FLOAT := $(SOURCES:csrc/%.c=$(BUILD)/float/%.o)
DOUBLE := $(SOURCES:csrc/%.c=$(BUILD)/double/%.o)

all: $(BUILD)/secateur/core.so $(BUILD)/secateur/core_double.so

$(BUILD)/secateur/core.so: $(FLOAT)
$(BUILD)/secateur/core_double.so: $(DOUBLE)
$(BUILD)/secateur/%.so:
	@mkdir -p $(@D)
	$(CC) -shared -fopenmp -pthread $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/float/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(COMMON) -c -o $@ $<
$(BUILD)/double/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(COMMON) -DSC_REAL_IS_DOUBLE -c -o $@ $<

-include $(FLOAT:.o=.d) $(DOUBLE:.o=.d)
clean:
	rm -rf build
.PHONY: all clean
