local child = require "support.child"
local files = require "secateur.util.files"
local temporary = require "support.temporary"
local source = dofile ".ci/source.lua"

-- Writes a tree (path -> text), runs one check over it, gives its findings as "file:line: message".
local function findings(check, tree)
  local root = temporary.folder()
  for path, text in pairs(tree) do temporary.write(root, path, text) end
  local found = {}
  local ok, message = pcall(dofile(".ci/lint/" .. check .. ".lua"), root, function(file, line, text)
    found[#found + 1] = ("%s:%d: %s"):format(file, line, text)
  end, source)
  files.remove(root)
  if not ok then error(message, 0) end
  return found
end

describe("source", function()
  it("blanks comments, and nothing that only looks like one", function()
    assert.are.equal('a "/*" b  \n      "//"', source.without_c_comments('a "/*" b//\n/*\\"*/"//"'))
    assert.are.equal("a '\\'--' b      \n   [[--]]", source.without_lua_comments("a '\\'--' b -- ''\n   [[--]]"))
    assert.are.equal("x      \n   y", source.without_lua_comments("x--[[ '\n]] y"))
  end)
end)

describe("includes", function()
  it("accepts what the table of rooms allows", function()
    assert.are.same({}, findings("includes", {
      ["csrc/graph/a.c"] = '#include "graph/a.h"\n#include "op/any.h"\n#include <math.h>\n// #include "lua/core.h"\n',
      ["csrc/prune/a.c"] = '#include "op/op.h"\n',
      ["csrc/lua/a.c"] = '#include "prune/a.h"\n#include <lua.h>\n',
      ["csrc/image/a.c"] = "#include <zlib.h>\n",
    }))
  end)

  it("names the include that goes up or sideways", function()
    assert.are.same({ "csrc/kernel/a.c:2: csrc/kernel may not include tensor/tensor.h" },
      findings("includes", { ["csrc/kernel/a.c"] = '#include "base/real.h"\n#  include "tensor/tensor.h"\n' }))
    assert.are.same({ "csrc/prune/a.c:1: csrc/prune may not include op/common.h" },
      findings("includes", { ["csrc/prune/a.c"] = '#include "op/common.h"\n' }))
    assert.are.same({ "csrc/io/a.h:1: csrc/io may not include lua/support.h" },
      findings("includes", { ["csrc/io/a.h"] = '#include "lua/support.h"\n' }))
  end)

  it("keeps the libraries in their rooms", function()
    assert.are.same({ "csrc/op/a.c:1: csrc/op may not include <lauxlib.h>" },
      findings("includes", { ["csrc/op/a.c"] = "#include <lauxlib.h>\n" }))
    assert.are.same({ "csrc/op/a.c:1: csrc/op may not include <cblas.h>" },
      findings("includes", { ["csrc/op/a.c"] = "#include <cblas.h>\n" }))
  end)

  it("refuses strange rooms and paths", function()
    assert.are.same({ "csrc/misc/a.c:1: is in no room of csrc" }, findings("includes", { ["csrc/misc/a.c"] = "" }))
    assert.are.same({ 'csrc/op/a.c:1: "op.h" is not of the form "room/file.h"' },
      findings("includes", { ["csrc/op/a.c"] = '#include "op.h"\n' }))
  end)
end)

describe("requires", function()
  local options = { ["lua/secateur/util/options.lua"] = "" }

  local function with(path, text)
    return { [path] = text, ["lua/secateur/util/options.lua"] = "", ["lua/secateur/data/folder.lua"] = "" }
  end

  it("accepts what the table of rooms allows", function()
    assert.are.same({}, findings("requires", options))
    assert.are.same({}, findings("requires", with("lua/secateur/models/a.lua", [[
      local core = require("secateur.core")
      local options = require "secateur.util.options" -- require "posix"
      local lfs = require "lfs"]])))
    assert.are.same({}, findings("requires", with("lua/secateur/experiments/a.lua", 'require "secateur.data.folder"')))
    assert.are.same({}, findings("requires", with("lua/secateur/init.lua", 'require("secateur." .. name)')))
  end)

  it("names the require that goes up or sideways", function()
    assert.are.same({ "lua/secateur/report/a.lua:2: lua/secateur/report may not require secateur.core" },
      findings("requires", with("lua/secateur/report/a.lua", '\nlocal core = require "secateur.core"')))
    assert.are.same({ "lua/secateur/models/a.lua:1: lua/secateur/models may not require secateur.data.folder" },
      findings("requires", with("lua/secateur/models/a.lua", "local ok = pcall(require, 'secateur.data.folder')")))
    assert.are.same({ "lua/secateur/experiments/sweep.lua:1: lua/secateur/experiments may not require secateur" },
      findings("requires", { ["lua/secateur/experiments/sweep.lua"] = 'require "secateur"',
        ["lua/secateur/init.lua"] = "" }))
  end)

  it("refuses what it cannot check, what is not there, and libraries that nobody installs", function()
    assert.are.same({ "lua/secateur/data/a.lua:1: requires a computed name, which nothing can check" },
      findings("requires", with("lua/secateur/data/a.lua", 'require("secateur.data." .. name)')))
    assert.are.same({ "lua/secateur/data/a.lua:1: no module 'secateur.data.b'" },
      findings("requires", with("lua/secateur/data/a.lua", 'require "secateur.data.b"')))
    assert.are.same({ "lua/secateur/data/a.lua:1: 'socket' is not among the libraries that Secateur needs" },
      findings("requires", with("lua/secateur/data/a.lua", 'require "socket"')))
  end)

  it("finds circles", function()
    assert.are.same({ "lua/secateur/util/b.lua:2: requires in a circle, through lua/secateur/util/a.lua" },
      findings("requires", {
        ["lua/secateur/util/a.lua"] = 'require "secateur.util.b"',
        ["lua/secateur/util/b.lua"] = '\nrequire "secateur.util.a"',
      }))
  end)
end)

describe("operations", function()
  it("wants a description, a spec and an ONNX form for each row", function()
    local rows = 'SC_OP(relu, "max(x, 0)")\nSC_OP(add, "")\n/* SC_OP(old) */\nSC_OP(conv2d, "convolution")\n'
    assert.are.same({
      "csrc/op/ops.def:1: relu has no ONNX form in lua/secateur/formats/onnx_operations.lua",
      "csrc/op/ops.def:2: add does not say what it does",
      "csrc/op/ops.def:4: conv2d has no spec: neither spec/op/conv2d_spec.lua nor a row in "
        .. "spec/op/activations_spec.lua",
    }, findings("operations", {
      ["csrc/op/ops.def"] = rows,
      ["spec/op/relu_spec.lua"] = "",
      ["spec/op/add_spec.lua"] = "",
      ["lua/secateur/formats/onnx_operations.lua"] = "local operations = {}\nfunction operations.add(net)\nend\n"
        .. "--function operations.relu(net)\nfunction operations.conv2d(net)\nend\n",
    }))
  end)

  it("takes a row of a table of several operations for a spec, and nothing else that names them", function()
    local function missing(tabulated)
      return findings("operations", {
        ["csrc/op/ops.def"] = 'SC_OP(relu, "max(x, 0)")\n',
        ["spec/op/activations_spec.lua"] = tabulated,
        ["spec/op/bits_spec.lua"] = 'local cases = {\n  { op = "relu", inputs = { { 7 } } },\n}\n',
        ["lua/secateur/formats/onnx_operations.lua"] = "\nfunction operations.relu(net)\nend\n",
      })
    end
    local none = { "csrc/op/ops.def:1: relu has no spec: neither spec/op/relu_spec.lua nor a row in "
      .. "spec/op/activations_spec.lua" }
    assert.are.same({}, missing 'local rows = {\n  { op = "tanh" },\n  { op = "relu", extremes = {} },\n}\n')
    assert.are.same(none, missing 'local rows = {\n  { op = "tanh" },\n  -- { op = "relu" },\n}\n')
    assert.are.same(none, missing 'check { op = "relu" }\n')
    assert.are.same(none, missing 'local rows = {\n  { op = "relu6" },\n}\n')
  end)

  it("does not take a list that it cannot read for an empty one", function()
    assert.are.same({ 'csrc/op/ops.def:1: has no row SC_OP(name, "what it does")' },
      findings("operations", { ["csrc/op/ops.def"] = "OP(relu)\n" }))
  end)
end)

describe("texts", function()
  it("name files that are there", function()
    assert.are.same({ "lua/README.md:2: names 'util/errrors.lua', which is not there",
      "lua/README.md:3: names 'csrc/graph/walk', which is not there" }, findings("texts", {
        ["lua/README.md"] = "`util/errors.lua`, `util/<name>.lua`, `a/b`, `csrc/graph/plan`, `prune(x)`\n"
          .. "`util/errrors.lua`\n`csrc/graph/walk`\n",
        ["lua/secateur/util/errors.lua"] = "",
        ["lua/secateur/a/b.lua"] = "",
        ["csrc/graph/plan.h"] = "",
      }))
  end)
end)

describe("documentation of what is public", function()
  local init = '--- All.\n-- @module secateur\nlocal names = {\n  load = "models.load",\n}\n'

  it("accepts names and methods that have an entry", function()
    assert.are.same({}, findings("documentation", {
      ["lua/secateur/init.lua"] = init,
      ["lua/secateur/models/load.lua"] = "--- Loads.\n-- @module m\n\n--- Loads.\nreturn function() end\n",
      ["lua/secateur/help/native/training.lua"] = "--- M.\n-- @module m\n\n--- E.\n-- @type Ema\n\n--- U.\n"
        .. "-- @function Ema:update\n",
      ["csrc/lua/l_ema.c"] = 'static const luaL_Reg methods[] = {{"update", f}, {"__tostring", g}};\n'
        .. 'sc_lua_new_class(L, SC_LUA_CLASS("Ema"), methods, f);\n',
    }))
  end)

  it("names those without one, and entries without a method", function()
    assert.are.same({
      "lua/secateur/init.lua:1: 'load' has no documentation, or stands in no subject of "
        .. "lua/secateur/help/catalogue.lua",
      "csrc/lua/l_ema.c:2: Ema:load has no entry in lua/secateur/help/native",
      "lua/secateur/help/catalogue.lua:1: Ema:update is documented, but there is no such method",
    }, findings("documentation", {
      ["lua/secateur/init.lua"] = init,
      ["lua/secateur/help/native/training.lua"] = "--- M.\n-- @module m\n\n--- E.\n-- @type Ema\n\n--- U.\n"
        .. "-- @function Ema:update\n",
      ["csrc/lua/l_ema.c"] = '\nstatic const luaL_Reg methods[] = {{"load", f}};\n'
        .. 'sc_lua_new_class(L, SC_LUA_CLASS("Ema"), methods, f);\n',
    }))
  end)
end)

describe("documentation", function()
  local function lua(text)
    return findings("documentation", { ["lua/secateur/util/a.lua"] = text })
  end

  local function header(text)
    return findings("documentation", { ["csrc/base/a.h"] = text })
  end

  it("wants --- above each function of the table that a module returns", function()
    assert.are.same({}, lua("--- A.\nlocal a = {}\n--- Does.\n-- @int x\nfunction a.f(x) end\n" ..
      "local function g() end\nreturn a\n"))
    assert.are.same({ "lua/secateur/util/a.lua:3: a.f has no --- comment",
      "lua/secateur/util/a.lua:5: a.g has no --- comment" },
      lua("--- A.\nlocal a = {}\nfunction a.f() end\n-- not for LDoc\na.g = function() end\nreturn a\n"))
    assert.are.same({ "lua/secateur/util/a.lua:3: f has no --- comment" },
      lua("--- A.\n\nlocal function f() end\nreturn f\n"))
    assert.are.same({ "lua/secateur/util/a.lua:3: f has no --- comment" },
      lua("--- A.\n\nlocal function f() end\nreturn { run = f }\n"))
    assert.are.same({ "lua/secateur/util/a.lua:1: starts with no --- comment on the module" },
      lua("local a = {}\nreturn a\n"))
  end)

  it("wants a comment above each method of a class", function()
    assert.are.same({ "lua/secateur/util/a.lua:4: C.m has no -- comment" },
      lua("--- A.\nlocal C = {}\nC.__index = C\nfunction C:m() end\n-- Private.\nfunction C:n() end\n" ..
        "function C:__len() end\nreturn {}\n"))
  end)

  it("wants a comment above, above the group of, or behind each function of a header", function()
    assert.are.same({}, header("/* One. */\nint f(int x,\n      int y);\nint g(void);\n\n" ..
      "int h(void); /* behind */\n"))
    assert.are.same({ "csrc/base/a.h:4: g has no comment, nor has its group" },
      header("/* One. */\nint f(void);\n\nint g(int a,\n      int b);\n"))
    assert.are.same({ "csrc/base/a.h:1: f has no comment, nor has its group" },
      header("static inline int f(int x) {\n    return g(x);\n}\n"))
    assert.are.same({}, header("#define F(x) (x)\ntypedef void (*callback)(int);\n" ..
      "struct s {\n    int (*slot)(void);\n};\nstruct s;\n"))
  end)
end)

describe("modules", function()
  it("wants each file's name as require spells it", function()
    assert.are.same({}, findings("modules", {
      ["lua/secateur/init.lua"] = "--- All.\n-- @module secateur\n",
      ["lua/secateur/util/csv.lua"] = "--- A.\n--\n-- @module secateur.util.csv\nlocal csv = {}\n",
      ["lua/secateur/core/init.lua"] = "--- A.\n-- @module secateur.core\n",
      ["lua/secateur/a/b/c.lua"] = "--- A.\n-- @module secateur.a.b.c\n",
    }))
    assert.are.same({
      "lua/secateur/a/none.lua:1: has no line -- @module secateur.a.none",
      "lua/secateur/a/other.lua:2: @module secateur.b.other: expected secateur.a.other",
      "lua/secateur/a/twice.lua:2: has a second @module line",
    }, findings("modules", {
      ["lua/secateur/a/none.lua"] = "--- A.\n",
      ["lua/secateur/a/other.lua"] = "--- A.\n-- @module secateur.b.other\n",
      ["lua/secateur/a/twice.lua"] = "-- @module secateur.a.twice\n-- @module secateur.a.twice\n",
    }))
  end)
end)

describe("errors", function()
  it("wants messages of Lua raised by util/errors alone", function()
    local message = ": calls error: secateur.util.errors raises messages"
    assert.are.same({}, findings("errors", {
      ["lua/secateur/util/errors.lua"] = "error(place, 0)\n",
      ["lua/secateur/data/a.lua"] = "errors.raise(1) -- error(1)\nlocal error_of = on_error(2)\nself.error(3)\n",
      ["spec/a_spec.lua"] = "error(1)\n",
    }))
    assert.are.same({ "lua/secateur/data/a.lua:2" .. message, "lua/secateur/data/a.lua:3" .. message,
      "lua/secateur/data/errors.lua:1" .. message }, findings("errors", {
        ["lua/secateur/data/a.lua"] = "local a\nif not a then error (1) end\nerror 'x'\n",
        ["lua/secateur/data/errors.lua"] = "return error(1)\n",
      }))
  end)

  it("wants warnings written by util/errors alone", function()
    local message = ": writes to stderr: errors.warn of secateur.util.errors makes names visible"
    assert.are.same({}, findings("errors", {
      ["lua/secateur/util/errors.lua"] = "io.stderr:write(text)\n",
      ["lua/secateur/util/progress.lua"] = "self.out = self.out or io.stderr\n-- io.stderr:write(1)\n",
    }))
    assert.are.same({ "lua/secateur/a/b.lua:2" .. message, "lua/secateur/a/b.lua:3" .. message }, findings("errors", {
      ["lua/secateur/a/b.lua"] = "local a\nio.stderr:write(a)\nif a then io.stderr:write 'a' end\n",
    }))
  end)

  it("wants messages of the bindings raised by support.c, or where it is not loaded yet", function()
    local message = ": calls luaL_error: sc_lua_fail raises messages"
    assert.are.same({}, findings("errors", {
      ["csrc/lua/support.c"] = "return luaL_error(L, message);\n",
      ["csrc/lua/cpu.c"] = "luaL_error(L, message);\n",
      ["csrc/lua/a.c"] = "/* luaL_error(L) */ sc_lua_fail(L, message);\n",
    }))
    assert.are.same({ "csrc/lua/a.c:2" .. message, "csrc/lua/a.h:1" .. message }, findings("errors", {
      ["csrc/lua/a.c"] = "int x;\nreturn luaL_error(L, message);\n",
      ["csrc/lua/a.h"] = "luaL_error(L, message);\n",
    }))
  end)
end)

describe("spec_rooms", function()
  it("wants a room of csrc or lua/secateur for each folder of specs", function()
    local tree = { ["csrc/graph/a.c"] = "", ["lua/secateur/data/b.lua"] = "", ["lua/secateur/init.lua"] = "",
      ["spec/graph/a_spec.lua"] = "", ["spec/data/b_spec.lua"] = "", ["spec/c_spec.lua"] = "" }
    for _, other in ipairs { "bench", "ci", "fixtures", "support" } do tree[("spec/%s/a.lua"):format(other)] = "" end
    assert.are.same({}, findings("spec_rooms", tree))
    tree["spec/graphs/a_spec.lua"] = ""
    assert.are.same({ "spec/graphs/a_spec.lua:1: spec/graphs is named after no room of csrc or lua/secateur" },
      findings("spec_rooms", tree))
  end)
end)

describe("length", function()
  it("allows 600 lines and not one more", function()
    assert.are.same({}, findings("length", { ["spec/a.lua"] = ("\n"):rep(600) }))
    assert.are.same({ "spec/a.lua:601: has 601 lines, more than 600" },
      findings("length", { ["spec/a.lua"] = ("\n"):rep(600) .. "x" }))
  end)
end)

describe("the driver", function()
  local function run(root)
    local pipe = assert(io.popen(("'%s' .ci/lint.lua '%s' 2>&1"):format(child.interpreter(), root)))
    local output = pipe:read("a")
    return output, pipe:close()
  end

  it("fails when anything was found, and only then", function()
    local root = temporary.folder()
    local empty, good = run(root)
    temporary.write(root, "csrc/misc/a.c", "")
    local output, bad = run(root)
    files.remove(root)
    assert.are.equal("", empty)
    assert.is_true(good)
    assert.are.equal("csrc/misc/a.c:1: is in no room of csrc\n", output)
    assert.is_nil(bad)
  end)
end)
