local child = require "support.child"
local closures = require "secateur.util.closures"
local core = require "secateur.core"
local errors = require "support.errors"
local fingerprint = require "secateur.util.fingerprint"
local temporary = require "support.temporary"
local files = require "secateur.util.files"

local of = fingerprint.options

describe("the fingerprint of a function", function()
  it("covers what it refers to, as it is now", function()
    local function offset(k) return function(pool) return #pool + k end end
    assert.equal(of(offset(1)), of(offset(1)))
    for _, other in ipairs { 2, 1.5, "1", true, { 1 }, offset, core.tensor { 1 } } do
      assert.not_equal(of(offset(1)), of(offset(other)))
    end
    assert.equal(of(offset(1)), of(offset(1.0)))
    local calls = 0
    local function counting()
      calls = calls + 1
      return calls
    end
    local before = of(counting)
    assert.equal(before, of(counting))
    counting()
    assert.not_equal(before, of(counting))
  end)

  it("goes through functions and tables, deeply", function()
    local function chain(value, setting)
      local helpers = setmetatable({ margin = function() return value end, list = { 1, { 2, setting } } },
        { __index = function() return setting end })
      local function inner() return helpers.margin() end
      return function() return inner() end
    end
    assert.equal(of(chain(1, "a")), of(chain(1, "a")))
    assert.not_equal(of(chain(1, "a")), of(chain(2, "a")))
    assert.not_equal(of(chain(1, "a")), of(chain(1, "b")))
    local function with(class) return function() return class end end
    assert.not_equal(of(with(setmetatable({}, { __call = function() return 1 end }))),
      of(with(setmetatable({}, { __call = function() return 2 end }))))
    assert.not_equal(of(with { [1] = 1 }), of(with { ["1"] = 1 }))
    assert.not_equal(of(with { [false] = 1 }), of(with { [true] = 1 }))
  end)

  it("ends where values hold themselves, and sees who shares a variable", function()
    local function recursive(n) return n > 0 and recursive(n - 1) or 0 end
    assert.equal(of(recursive), of(recursive))
    local function ring(value)
      local first = { value = value }
      first.next = { next = first }
      return function() return first end
    end
    assert.equal(of(ring(1)), of(ring(1)))
    assert.not_equal(of(ring(1)), of(ring(2)))
    local function pair(shared)
      local a, b = 1, 1
      local function first()
        a = a + 1
        return a
      end
      local function second() return a end
      local function third() return b end
      return function() return first(), (shared and second or third)() end
    end
    assert.not_equal(of(pair(true)), of(pair(false)))
  end)

  it("tells functions of the same lines apart", function()
    local one, two = function() return 1 end, function() return 2 end
    assert.not_equal(of(one), of(two))
  end)

  it("covers the globals that it looks up, and those that these look up", function()
    local function made(source, globals)
      return load("local ctx = {}; " .. source, "=strategy", "t", setmetatable(globals, { __index = _G }))()
    end
    local function differ(source, one, other)
      return of(made(source, one)) ~= of(made(source, other))
    end
    local inner = function(k) return function() return k end end
    assert.is_true(differ("return function() return helper() end", { helper = inner(1) }, { helper = inner(2) }))
    assert.is_false(differ("return function() return helper() end", { helper = inner(1) }, { helper = inner(1) }))
    assert.is_true(differ("return function() return function() return 'a'..size end end", { size = 1 }, { size = 2 }))
    assert.is_true(differ("return function() return size.of[1] end", { size = { of = {} } }, { size = {} }))
    assert.is_true(differ("function first() return size end; return function() return first() end",
      { size = 1 }, { size = 2 }))
    local function unlike(source) return differ(source, { size = 1 }, { size = 2 }) end
    assert.is_false(unlike("return function() return ctx.size, ctx:size() end"))
    assert.is_false(unlike("return function(size) return size end -- size"))
    assert.is_false(differ("return function() return print(math.sin(1)) end", { print = 1 }, { print = 2 }))
    local stripped = function(globals)
      return load(string.dump(made("return function() return size end", {}), true), "=", "b", globals)
    end
    assert.not_equal(of(stripped { size = 1 }), of(stripped { size = 2 }))
    local strict = setmetatable({}, { __index = function(_, name) error(name) end })
    assert.equal(of(load("return size", "=x", "t", strict)), of(load("return size", "=x", "t", strict)))
  end)

  it("covers what scripts add to Lua's library, under whichever name", function()
    local function in_script(helper, use)
      return child.run(([[
        function helper() return %d end
        function string.mine() return %d end
        local held = helper
        io.write(require("secateur.util.fingerprint").options(%s))]]):format(helper, helper, use), "%s")
    end
    for _, use in ipairs { "function() return helper() end", "function() return held() end", "held",
      "string.mine" } do
      assert.equal(in_script(1, use), in_script(1, use))
      assert.not_equal(in_script(1, use), in_script(2, use))
    end
  end)

  it("knows Lua's library and this package by name", function()
    local sc = require "secateur"
    local format, stderr, sample = string.format, io.stderr, sc.sample
    local text = closures.text(function()
      print(sc, sample)
      stderr:write(format("%d", 1))
    end, function() return nil end)
    local named = {}
    for name in text:gmatch "\nnamed ([^\n]*)" do named[#named + 1] = name end
    table.sort(named)
    assert.same({ "io.stderr", "secateur", "secateur.pruning.sample", "string.format" }, named)
    assert.is_nil(text:find("_G", 1, true))
  end)

  it("takes models, splits and tensors as what they are", function()
    local sc = require "secateur"
    local function model(seed)
      local made = sc.models.vgg { config = { 4, "M" }, hidden = {}, pool = 1, channels = 1, size = 8, classes = 2,
        seed = seed }
      return function() return made end
    end
    assert.equal(of(model(1)), of(model(1)))
    assert.not_equal(of(model(1)), of(model(2)))
    local function split(seed)
      local data = sc.data.phantom { size = 16, count = 12, channels = 1, seed = seed }
      return function() return data, data.test end
    end
    assert.equal(of(split(1)), of(split(1)))
    assert.not_equal(of(split(1)), of(split(2)))
    local weights = core.zeros(300)
    local function mask() return weights end
    local before = of(mask)
    weights:set(1, 123) -- none of the few that are looked at in a parameter
    assert.not_equal(before, of(mask))
  end)

  it("does not look into what this package keeps to itself", function()
    local sc = require "secateur"
    local group, chain = sc.mpi.group(), sc.sampling.chain("margin", function(pool) return pool end)
    local function mine() return group, chain end
    local before = of(mine)
    group:barrier()
    assert.equal(before, of(mine))
    chain = sc.sampling.chain("margin", function(pool) return pool[1] end)
    assert.not_equal(before, of(mine))
    assert.matches("\nclass Results\n", closures.text(require "secateur.results".new {}, function() return nil end))
  end)

  it("is an error where nothing can stand for something, which names the way to it", function()
    local file <close> = assert(io.open(arg and arg[0] or "/dev/null"))
    local cache = { handle = file }
    local function inner() return cache.handle end
    local function outer() return inner() end
    local logs = load("return log:write 'a'", "=logs", "t", { log = file })
    local function message_of(value)
      return errors.raised(function() of(value, "sampling.mine") end)
    end
    assert.equal("sampling.mine: upvalue 'cache.handle' is a file, which nothing can stand for: give version = ...",
      message_of(inner))
    assert.equal("sampling.mine: upvalue 'cache.handle' of upvalue 'inner' is a file, which nothing can stand for: "
      .. "give version = ...", message_of(outer))
    assert.matches("^sampling.mine: global 'log' is a file,", message_of(logs))
    assert.matches("global 'log' of upvalue 'logs' is a file,", message_of(function() return logs end))
    local routine, iterator = coroutine.create(print), string.gmatch("a", "a")
    assert.matches("upvalue 'routine' is a coroutine,", message_of(function() return routine end))
    assert.matches("upvalue 'iterator' is a function of C,", message_of(function() return iterator end))
    local set = { [{}] = true }
    assert.matches("upvalue 'set' is a table with table as a key,", message_of(function() return set end))
  end)

  it("is the same in another process", function()
    local folder = temporary.folder()
    local path = temporary.write(folder, "strategies.lua", [[
local modes = { z = 1, a = { true, 2.5 }, [3] = "x", [1.5] = false }
local function helper(k) return modes, k, string.format end
return function(k) return function(pool) return helper(k), pool end end]])
    local script = ([[
      local fingerprint = require "secateur.util.fingerprint"
      %%s
      io.write(fingerprint.options(dofile(%q)(2)))]]):format(path)
    local plain, after_others = child.run(script:format(""), "%s"),
      child.run(script:format "require 'secateur.report' require 'lfs'", "%s")
    local here = of(dofile(path)(2))
    files.remove(folder)
    assert.matches("^function %x+$", plain)
    assert.equal(plain, after_others)
    assert.equal(plain, here)
  end)
end)
