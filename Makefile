# Builds, tests and demonstrates Secateur; everything made lands in $(BUILD). New files in csrc/ are found by themselves.
#
#   make            the native modules          make demo       install what is missing, build, run the demo
#   make lint       every static check          make test       install what is missing, build, lint, run the specs
#   make spec       the specs alone (SPEC=spec/op for some)     make sanitize, valgrind   the specs under either
#   make bench      spec/bench                  make rock       install with LuaRocks (TREE=directory)
#   make bits       spec/fixtures/bits.json anew, when results were meant to change
#   make doc, format, install (PREFIX=), clean
#
# Nothing below needs pkg-config or a compiler while the file is read: `make test` installs them first.
BUILD ?= build
LUA ?= lua5.4
LUA_VERSION ?= 5.4
CC ?= cc
PKG_CONFIG ?= pkg-config
PROTOC_C ?= protoc-c
CLANG_FORMAT ?= $(call once,CLANG_FORMAT,command -v clang-format-14 || echo clang-format)
LUACHECK ?= luacheck
CFLAGS ?= -O3 -g -fno-math-errno
REPORT ?= report
SPEC ?= spec
COUNTS ?= $(BUILD)/counts
SANITIZE ?= memory
# Specs of what computes: they run at every level of vector instructions that the processor has.
COMPUTING ?= $(addprefix spec/,kernel graph attribution explanations train training \
	prune pruning tensor image golden_spec.lua)
BENCH ?= $(wildcard spec/bench/*.lua)
PREFIX ?= /usr/local
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

# --- flags ------------------------------------------------------------------------------------------------------------

# once(NAME, COMMAND): runs the command when NAME is first used, and remembers what it printed.
once = $(eval $1 := $(shell $2))$($1)
pkg = $(PKG_CONFIG) $1 $2 2>/dev/null

# LuaRocks gives LUA_INCDIR. Distributions call the package lua5.4, lua-5.4, lua54 or plain lua.
LUA_CFLAGS = $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(call once,LUA_CFLAGS,for name in lua5.4 lua-5.4 lua54 lua; do \
	$(call pkg,--cflags,$$name) && break; done))
ZLIB_LIBS = $(call once,ZLIB_LIBS,$(call pkg,--libs,zlib) || echo -lz)
PROTOBUF_CFLAGS = $(call once,PROTOBUF_CFLAGS,$(call pkg,--cflags,libprotobuf-c))
PROTOBUF_LIBS = $(call once,PROTOBUF_LIBS,$(call pkg,--libs,libprotobuf-c) || echo -lprotobuf-c)
SQLITE_CFLAGS = $(call once,SQLITE_CFLAGS,$(call pkg,--cflags,sqlite3))
SQLITE_LIBS = $(call once,SQLITE_LIBS,$(call pkg,--libs,sqlite3) || echo -lsqlite3)
STB_CFLAGS = $(call once,STB_CFLAGS,$(call pkg,--cflags,stb) || echo -I/usr/include/stb)

# Formats of images by libraries that not everybody has: TIFF=no, WEBP=no, DICOM=no and JPEG2000=no (inside DICOM) build
# without; unsaid, each is built where its library is found, DICOM where there is a C++ compiler too. (Debian's dcmtk.pc
# wants packages that nothing here needs: only its version and directories are asked for.)
found = $(if $(shell $(PKG_CONFIG) --modversion $1 2>/dev/null),yes,no)
TIFF ?= $(eval TIFF := $(call found,libtiff-4))$(TIFF)
WEBP ?= $(eval WEBP := $(call found,libwebp))$(WEBP)
DICOM ?= $(eval DICOM := $(if $(shell command -v $(CXX) 2>/dev/null),$(call found,dcmtk),no))$(DICOM)
JPEG2000 ?= $(eval JPEG2000 := $(call found,libopenjp2))$(JPEG2000)
DCMTK_DIR = $(shell $(PKG_CONFIG) --variable=$1 dcmtk 2>/dev/null)

# Groups of processes over MPI, a module of its own too: MPI=no builds without; unsaid, it is built where its compiler is
# found. MPICC=mpicc.mpich says which MPI. Only its flags are taken: what compiles is CC.
MPICC ?= mpicc
MPI ?= $(eval MPI := $(if $(shell command -v $(MPICC) 2>/dev/null),yes,no))$(MPI)
MPI_SHOW = $(call once,MPI_SHOW,$(MPICC) -show 2>/dev/null)
MPI_CFLAGS = $(call system,$(filter -I% -D%,$(MPI_SHOW)))
MPI_LIBS = $(filter -L% -l% -Wl$(comma)-rpath%,$(MPI_SHOW))
comma := ,

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
# No contraction: where a product and a sum are one operation is said in the source, or bits would hang on the compiler.
# No trapping: both sides of a choice may be computed, without which GCC makes no vectors of loops that choose.
ALL_CFLAGS = -std=c11 -fPIC -fvisibility=hidden -fopenmp -pthread $(WARNINGS) $(CFLAGS) -ffp-contract=off \
	-fno-trapping-math -Icsrc $(LUA_CFLAGS) \
	$(call system,$(STB_CFLAGS) $(SQLITE_CFLAGS) $(PROTOBUF_CFLAGS) -I$(BUILD)/generated)
# Warnings in headers of others are not ours.
system = $(patsubst -I%,-isystem %,$1)
# nodelete: Lua unloads modules when it closes, and threads would wake up in code that is gone.
ALL_LDFLAGS = -shared -pthread -Wl,-z,nodelete $(LDFLAGS)
# GCC's pragmas are carried out by csrc/base/parallel.c, other compilers' by the library that they bring.
OPENMP_LIBS = $(call once,OPENMP_LIBS,$(CC) -dM -E -x c /dev/null | grep -q __clang__ && echo -fopenmp)
LIBS = $(OPENMP_LIBS) $(ZLIB_LIBS) $(PROTOBUF_LIBS) -lm

# --- native modules ---------------------------------------------------------------------------------------------------

# The core is compiled once per level of vector instructions, and once in double precision for the gradient checks;
# lua/secateur/core/init.lua loads the one that fits the processor. The bits of results are the same in all levels.
SHIMS := $(patsubst %,csrc/lua/%.c,cpu hook_watch mpi sqlite sqlite_lock)
SOURCES := $(filter-out $(SHIMS) csrc/codec/% csrc/mpi/%,$(sort $(wildcard csrc/*/*.c)))
LEVELS = portable $(if $(filter x86_64% amd64%,$(call once,MACHINE,$(CC) -dumpmachine 2>/dev/null)),avx2 avx512)
FLAGS_avx2 = -mavx2 -mfma -mbmi -mbmi2 -mf16c -mlzcnt -mmovbe
FLAGS_avx512 = $(FLAGS_avx2) -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512
FLAGS_double = -DSC_REAL_IS_DOUBLE
objects = $(SOURCES:csrc/%.c=$(BUILD)/$1/%.o)
CPU := $(BUILD)/shim/lua/cpu.o
SQLITE := $(patsubst %,$(BUILD)/shim/%.o,lua/hook_watch lua/sqlite lua/sqlite_lock \
	base/clock base/file_limit base/file_lock base/file_system)
# What the specs alone need: functions of single headers, once per level; Lua states in threads; and OpenBLAS, to compare
# with, where it is found.
OPENBLAS ?= $(eval OPENBLAS := $(call found,openblas))$(OPENBLAS)
VECMATH := $(LEVELS:%=$(BUILD)/spec/vecmath_%.o)
PROBES = $(VECMATH) $(patsubst %,$(BUILD)/spec/%.o,lua_threads failing_malloc network_disk) \
	$(if $(filter yes,$(OPENBLAS)),$(BUILD)/spec/openblas.o)
# Groups of processes: the room mpi and its binding, and what of base they need.
MPI_OWN := $(patsubst csrc/%.c,$(BUILD)/shim/%.o,$(wildcard csrc/mpi/*.c)) $(BUILD)/shim/lua/mpi.o
MPI_OBJECTS := $(MPI_OWN) $(patsubst %,$(BUILD)/shim/base/%.o,clock interrupt memory status)
OBJECTS = $(foreach variant,$(LEVELS) double,$(call objects,$(variant))) $(CPU) $(SQLITE) $(PROBES) $(BUILT_CODECS) \
	$(if $(filter yes,$(MPI)),$(MPI_OBJECTS))
# Messages of protocol buffers: room/NAME.proto becomes NAME.pb-c.c and .h, for room/NAME.c alone to include.
PROTOS := $(wildcard csrc/*/*.proto)
MESSAGES := $(PROTOS:csrc/%.proto=$(BUILD)/generated/%.pb-c.o)

# Decoders that the core loads when it meets such a file (csrc/image/codec.h): one module per library, compiled once.
ALL_CODECS := $(patsubst %,$(BUILD)/secateur/%.so,tiff webp dicom)
CODECS = $(foreach name,tiff:$(TIFF) webp:$(WEBP) dicom:$(DICOM),$(patsubst %:yes,$(BUILD)/secateur/%.so,$(filter %:yes,$(name))))
CODEC_OBJECTS = $(BUILD)/codec/tiff.o $(BUILD)/codec/webp.o $(BUILD)/codec/dicom.o $(BUILD)/codec/jpeg2000.o
DICOM_OBJECTS = $(if $(filter yes,$(DICOM)),$(BUILD)/codec/dicom.o $(if $(filter yes,$(JPEG2000)),$(BUILD)/codec/jpeg2000.o))
BUILT_CODECS = $(filter $(CODECS:$(BUILD)/secateur/%.so=$(BUILD)/codec/%.o) $(DICOM_OBJECTS),$(CODEC_OBJECTS))

all: module $(BUILD)/secateur/core_double.so $(PROBES:.o=.so)
	@rm -f $(filter-out $(PROBES:.o=.so),$(BUILD)/spec/openblas.so)
# What a user installs; core_double is for the gradient checks, spec/ for the specs.
MODULES = $(LEVELS:%=$(BUILD)/secateur/core_%.so) $(BUILD)/secateur/cpu.so $(BUILD)/secateur/sqlite.so $(CODECS) \
	$(if $(filter yes,$(MPI)),$(BUILD)/secateur/mpi.so)
module: $(MODULES)
	@rm -f $(filter-out $(MODULES),$(ALL_CODECS) $(BUILD)/secateur/mpi.so)

# One variant of the core: a level, or double.
define variant
$(BUILD)/secateur/core_$1.so: $(call objects,$1) $(MESSAGES) $(BUILD)/sources
	@mkdir -p $$(@D)
	@echo '$(CC) -shared -o $$@'
	@$(CC) $(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) $(LIBS)
$(call objects,$1): $(BUILD)/$1/%.o: csrc/%.c $(BUILD)/flags
	$$(call compile,$(FLAGS_$1) -DSC_VARIANT=$1)
$(PROTOS:csrc/%.proto=$(BUILD)/$1/%.o): $(BUILD)/$1/%.o: $(BUILD)/generated/%.pb-c.h
endef
$(patsubst %,$(BUILD)/spec/%.o,lua_threads failing_malloc network_disk): $(BUILD)/spec/%.o: spec/support/%.c $(BUILD)/flags
	$(call compile)
$(VECMATH): $(BUILD)/spec/vecmath_%.o: spec/support/vecmath.c $(BUILD)/flags
	$(call compile,$(FLAGS_$*) -DSC_VARIANT=$*)
# Debian keeps each flavour's cblas.h in a directory of its own.
$(BUILD)/spec/openblas.o: spec/support/openblas.c $(BUILD)/flags
	$(call compile,$(call system,$(call once,BLAS_CFLAGS,$(call pkg,--cflags,openblas))))
# The core's threads and not libgomp's, which tell ThreadSanitizer nothing.
$(VECMATH:.o=.so): $(BUILD)/portable/base/parallel.o
$(BUILD)/spec/%.so: $(BUILD)/spec/%.o
	@echo '$(CC) -shared -o $@'
	@$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(OPENMP_LIBS) $(if $(findstring openblas,$@),$(call once,BLAS_LIBS,$(call pkg,--libs,openblas))) -lm
# Must not pull in OpenMP: it decides what OpenMP will see when that is loaded.
$(BUILD)/secateur/cpu.so: $(CPU)
	@mkdir -p $(@D)
	@echo '$(CC) -shared -o $@'
	@$(CC) -shared $(LDFLAGS) -o $@ $^
# The store of sweeps, which needs next to nothing of the core.
$(BUILD)/secateur/sqlite.so: $(SQLITE)
	@mkdir -p $(@D)
	@echo '$(CC) -shared -o $@'
	@$(CC) -shared -pthread -Wl,-z,nodelete $(LDFLAGS) -o $@ $^ $(SQLITE_LIBS)
# Groups of processes. Built again when another MPI is asked for.
$(BUILD)/secateur/mpi.so: $(MPI_OBJECTS)
	@mkdir -p $(@D)
	@echo '$(CC) -shared -o $@'
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(MPI_LIBS)
$(MPI_OWN): $(BUILD)/shim/%.o: csrc/%.c $(BUILD)/flags $(BUILD)/shim/mpi.with
	$(call compile,$(MPI_CFLAGS))
$(BUILD)/shim/mpi.with: FORCE
	@command -v $(MPICC) >/dev/null || { rm -f $@; echo "MPI=yes, but '$(MPICC)' is not found: install" \
	"libopenmpi-dev and openmpi-bin (.ci/install mpi), or say MPICC=command, or MPI=no" >&2; exit 1; }
	@$(note) '$(MPI_SHOW)' >$$new; $(refresh)

$(BUILD)/secateur/tiff.so: $(BUILD)/codec/tiff.o $(BUILD)/codec/status.o
	$(call link_codec,$(CC),$(call once,TIFF_LIBS,$(call pkg,--libs,libtiff-4) || echo -ltiff))
$(BUILD)/secateur/webp.so: $(BUILD)/codec/webp.o $(BUILD)/codec/status.o
	$(call link_codec,$(CC),$(call once,WEBP_LIBS,$(call pkg,--libs,libwebp) || echo -lwebp))
$(BUILD)/secateur/dicom.so: $(BUILD)/codec/status.o $(DICOM_OBJECTS)
	$(call link_codec,$(CXX),$(patsubst %,-L%,$(call DCMTK_DIR,libdir)) $(DCMTK_LIBS) \
	$(if $(filter yes,$(JPEG2000)),$(call once,JPEG2000_LIBS,$(call pkg,--libs,libopenjp2) || echo -lopenjp2)))
DCMTK_LIBS ?= -ldcmjpeg -ldcmjpls -ldcmdata -loflog -lofstd
define link_codec
	@mkdir -p $(@D)
	@echo '$1 -shared -o $@'
	@$1 -shared -pthread -Wl,-z,nodelete -Wl,--as-needed $(LDFLAGS) -o $@ $^ $2
endef
$(BUILD)/codec/%.o: csrc/codec/%.c $(BUILD)/flags
	$(call compile,$(call system,$(call once,TIFF_CFLAGS,$(call pkg,--cflags,libtiff-4)) \
	$(call once,WEBP_CFLAGS,$(call pkg,--cflags,libwebp)) $(call once,JPEG2000_CFLAGS,$(call pkg,--cflags,libopenjp2))))
$(BUILD)/codec/status.o: csrc/base/status.c $(BUILD)/flags
	$(call compile)
$(BUILD)/codec/dicom.o: csrc/codec/dicom.cc $(BUILD)/flags $(BUILD)/codec/with
	@mkdir -p $(@D)
	@echo '$(CXX) -c $<'
	@$(CXX) -std=c++17 -fPIC -fvisibility=hidden -pthread $(WARNINGS) $(CFLAGS) -Icsrc \
	$(patsubst %,-idirafter %,$(call DCMTK_DIR,includedir)) \
	$(if $(filter yes,$(JPEG2000)),-DSC_HAVE_OPENJPEG) -MMD -MP -c -o $@ $< 2>$(@:.o=.log); \
	status=$$?; cat $(@:.o=.log) >&2; exit $$status
$(BUILD)/codec/with: FORCE
	@$(note) 'JPEG2000=$(JPEG2000)' >$$new; $(refresh)

# Warnings are shown but stop nobody whose compiler is newer; they are kept beside the object, and lint fails on them.
define compile
	@mkdir -p $(@D)
	@echo '$(CC) -c $<'
	@$(CC) $(ALL_CFLAGS) $1 -MMD -MP -c -o $@ $< 2>$(@:.o=.log); status=$$?; cat $(@:.o=.log) >&2; exit $$status
endef
$(foreach name,$(LEVELS) double,$(eval $(call variant,$(name))))
$(sort $(CPU) $(SQLITE) $(filter-out $(MPI_OWN),$(MPI_OBJECTS))): $(BUILD)/shim/%.o: csrc/%.c $(BUILD)/flags
	$(call compile)

# protoc-c writes source and header together; what it writes is not ours to keep free of warnings.
$(MESSAGES:.o=.c): $(BUILD)/generated/%.pb-c.c: csrc/%.proto
	@mkdir -p $(@D)
	@echo '$(PROTOC_C) $<'
	@$(PROTOC_C) --proto_path=csrc --c_out=$(BUILD)/generated $< || \
	{ echo "See .ci/packages for what is needed; PROTOC_C=command says what the compiler is called." >&2; exit 1; }
$(MESSAGES:.o=.h): %.h: %.c ;
$(MESSAGES): %.o: %.c $(BUILD)/flags
	@echo '$(CC) -c $<'
	@$(CC) $(filter-out $(WARNINGS),$(ALL_CFLAGS)) -w -c -o $@ $<

# Rewritten only when their contents change, so that other flags compile anew and a removed file links anew.
$(BUILD)/flags: FORCE
	@$(note) '$(strip $(CC) $(ALL_CFLAGS) $(FLAGS_avx512))' >$$new; cmp -s $$new $@ || { $(check_headers); } && $(refresh)
$(BUILD)/sources: FORCE
	@$(note) '$(strip $(SOURCES) $(PROTOS) $(ALL_LDFLAGS) $(LIBS))' >$$new; $(refresh)
# A file of each make's own, since two may run at once.
note = mkdir -p $(@D); new=$@.$$$$; echo
refresh = { cmp -s $$new $@ && rm $$new || mv $$new $@; }
check_headers = for header in lua.h lauxlib.h zlib.h stb_image.h sqlite3.h protobuf-c/protobuf-c.h; do \
	printf '\#include <%s>\n\#if defined LUA_VERSION_NUM && LUA_VERSION_NUM != 504\n\#error\n\#endif\n' $$header | \
	$(CC) $(ALL_CFLAGS) -E - >/dev/null 2>&1 || { rm $$new; $(no_header); exit 1; }; done
no_header = { echo "$(CC) cannot include <$$header>$$(test $$header != lua.h || echo ' of Lua 5.4')."; \
	echo "See .ci/packages for what is needed; LUA_INCDIR=directory says where lua.h is. With LuaRocks:"; \
	echo "  luarocks --lua-version=5.4 make"; } >&2
FORCE:

-include $(OBJECTS:.o=.d)

# --- running ----------------------------------------------------------------------------------------------------------

# The versioned names win over LUA_PATH, so that whatever the shell or LuaRocks has set cannot shadow the checkout.
RUN = LUA_PATH_5_4="lua/?.lua;lua/?/init.lua;spec/?.lua$${LUA_PATH_5_4:+;$$LUA_PATH_5_4}$${LUA_PATH:+;$$LUA_PATH};;" \
	LUA_CPATH_5_4="$(BUILD)/?.so$${LUA_CPATH_5_4:+;$$LUA_CPATH_5_4}$${LUA_CPATH:+;$$LUA_CPATH};;" $(RUNNER) $(LUA)
# Uses all cores unless told otherwise with -j.
PARALLEL = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
INSTALL_PACKAGES = LUA=$(LUA) PKG_CONFIG=$(PKG_CONFIG) .ci/install

demo:
	@$(INSTALL_PACKAGES) build run
	@$(INSTALL_PACKAGES) codec || echo 'Going on without: TIFF, WebP or DICOM files may not be readable.' >&2
	@$(PARALLEL) module
	@$(RUN) examples/quickstart.lua --out $(REPORT) $(DEMO)

test:
	@rm -f $(BUILD)/summary
	@$(INSTALL_PACKAGES) build run test
	@$(INSTALL_PACKAGES) codec || echo 'Going on without: TIFF, WebP or DICOM files may not be readable.' >&2
	@$(INSTALL_PACKAGES) mpi mpich || echo 'Going on without: what several processes do together is not tested.' >&2
	@$(INSTALL_PACKAGES) format || echo 'Going on without it: the layout of C is not checked.' >&2
	+@MAKE='$(PARALLEL)' BUILD=$(BUILD) COMPUTING='$(wildcard $(COMPUTING))' .ci/test

spec: all
	@rm -f $(COUNTS)
	@$(RUN) .ci/busted.lua --output=.ci/output.lua -Xoutput $(COUNTS) $(SPEC)

# The levels that the processor has besides the one in use.
levels: all
	@$(RUN) -e 'local c = require "secateur.cpu" for _, l in ipairs(c.levels) do if l ~= c.level then print(l) end end'

# Needs the sanitizers of GCC or Clang; see .ci/sanitize for what is switched on.
sanitize:
	@$(INSTALL_PACKAGES) build run test
	+@MAKE='$(PARALLEL)' CC='$(CC)' LUA='$(LUA)' SANITIZE='$(SANITIZE)' BUILD=$(BUILD)/sanitize/$(SANITIZE) .ci/sanitize

valgrind:
	@$(INSTALL_PACKAGES) build run test valgrind
	+@MAKE='$(PARALLEL)' BUILD=$(BUILD)/valgrind SPEC='$(SPEC)' .ci/valgrind

bench: module
	@for file in $(BENCH); do echo "== $$file"; $(RUN) $$file || exit 1; done

bits: module
	@$(RUN) spec/fixtures/make_bits.lua

# --- checks -----------------------------------------------------------------------------------------------------------

LUA_FILES = lua spec examples $(wildcard .ci/*.lua .ci/lint/*.lua .ci/doc/*.lua)
C_FILES := $(wildcard csrc/*/*.c csrc/*/*.cc csrc/*/*.h spec/support/*.c)

lint: lint-warnings lint-lua lint-format lint-house
lint-warnings: all
	@for log in $(OBJECTS:.o=.log); do test ! -s $$log || { cat $$log; bad=1; }; done; test -z "$$bad"
lint-lua:
	@command -v $(LUACHECK) >/dev/null || { echo 'Lua not checked: luacheck is missing; install lua-check (Debian,' \
		'Ubuntu; .ci/install test does) or the rock luacheck; LUACHECK=command says what it is called.' >&2; exit 1; }
	@$(LUACHECK) --quiet $(wildcard $(LUA_FILES))
lint-format: clang-format-14
	@$(CLANG_FORMAT) --dry-run --Werror $(C_FILES)
# Only the version that wrote .clang-format agrees with it about every line.
clang-format-14:
	@found=$$($(CLANG_FORMAT) --version 2>/dev/null); case "$$found" in *' version 14.'*) ;; *) \
	echo "Layout of C not checked: expected clang-format 14, found $${found:-none}; install clang-format-14" \
		'(.ci/install format does on Debian and Ubuntu); CLANG_FORMAT=command says what it is called.' >&2; exit 1 ;; esac
# The tables of rooms, the list of operations, documentation, file lengths.
lint-house:
	@$(RUN) .ci/lint.lua

format: clang-format-14
	$(CLANG_FORMAT) -i $(C_FILES)

doc: module
	@$(RUN) .ci/doc.lua $(BUILD)/doc

# --- installing -------------------------------------------------------------------------------------------------------

LUA_MODULES = $(patsubst lua/%,%,$(wildcard lua/secateur/*.lua lua/secateur/*/*.lua lua/secateur/*/*/*.lua))

install: module
	@set -e; for file in $(LUA_MODULES); do \
		mkdir -p "$(DESTDIR)$(INST_LUADIR)/$$(dirname $$file)"; cp lua/$$file "$(DESTDIR)$(INST_LUADIR)/$$file"; done
	mkdir -p "$(DESTDIR)$(INST_LIBDIR)/secateur"
	cp $(MODULES) "$(DESTDIR)$(INST_LIBDIR)/secateur"

TREE ?= $(HOME)/.luarocks
rock:
	luarocks --lua-version=$(LUA_VERSION) --tree=$(TREE) make --deps-mode=none

clean:
	rm -rf $(BUILD)

.PHONY: all module demo test spec levels sanitize valgrind bench bits lint lint-warnings lint-lua lint-format lint-house \
	clang-format-14 format doc install rock clean FORCE
