local core = require "secateur.core"
local errors = require "secateur.util.errors"
local stderr = require "support.stderr"

-- A function of the package: its source is a file below lua/secateur.
local root = debug.getinfo(errors.raise, "S").source:match "^(.*)util/errors%.lua$"
local environment = { errors = errors, core = core, assert = assert }
local function inside(text) return load(text, root .. "room/file.lua", "t", environment)() end

local HERE = "spec/util/errors_spec.lua"

-- The message of f and the line that it names, which must be in this file.
local function caught(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  local line, text = message:match("^" .. HERE:gsub("%p", "%%%0") .. ":(%d+): (.*)$")
  assert.is_truthy(text, message)
  return text, tonumber(line)
end

local function this_line() return debug.getinfo(2, "l").currentline end

describe("errors", function()
  local deep = inside [[
    local function three(...) errors.refuse("verb", ...) end
    local function two(...) return three(...) end -- a tail call, which leaves no frame
    return function(...) local result = two(...) return result end
  ]]

  it("name the first caller outside the package, from any depth", function()
    local line
    local text, named = caught(function()
      line = this_line() + 1
      deep("x: expected %s, got %d", "a string", 7)
    end)
    assert.equal("verb: x: expected a string, got 7", text)
    assert.equal(line, named)
  end)

  it("name a function of the user's that the package called", function()
    local call = inside "return function(f) local value = f() return value end"
    local line
    local _, named = caught(call, function()
      line = this_line() + 1
      deep "wrong"
    end)
    assert.equal(line, named)
  end)

  it("take a message without arguments as it is", function()
    assert.equal("verb: 100% of it", (caught(function() deep "100% of it" end)))
  end)

  it("reach the package without position, the name apart", function()
    local try = inside "return function(f, ...) return errors.try(f, ...) end"
    assert.same({ false, "wrong", "verb" }, { try(deep, "wrong") })
    assert.same({ true, 1, nil, 3 }, { try(inside "return function() return 1, nil, 3 end") })
  end)

  it("of the core have the same place", function()
    local add = inside "return function(a, b) local c = a + b return c end"
    assert.matches("^add: ", (caught(function() add(core.zeros(2), core.zeros(3)) end)))
    local try = inside "return function(f, ...) return errors.try(f, ...) end"
    local ok, message = try(add, core.zeros(2), core.zeros(3))
    assert.is_false(ok)
    assert.matches("^add: ", message)
  end)

  it("about memory that ran out are caught as no answer", function()
    local too_many = inside "return function(core) local x = core.zeros(1 << 50) return x end"
    local try = inside "return function(f, ...) return errors.try(f, ...) end"
    assert.equal("memory: could not allocate 4503599627370496 bytes", (caught(function() try(too_many, core) end)))
    local within = inside "return function(...) return errors.within('verb', ...) end"
    assert.equal("verb: memory: could not allocate 4503599627370496 bytes",
      (caught(function() try(within, too_many, core) end)))
    local catch = inside "return function(...) return errors.catch(...) end"
    local ok, problem = catch(within, too_many, core)
    assert.same({ false, true, "verb" }, { ok, errors.is_exhausted(problem), problem.name })
    assert.is_false(errors.is_exhausted(select(2, catch(deep, "wrong"))))
    assert.is_false(errors.is_exhausted "plain")
  end)

  it("of others pass through as they are", function()
    local try = inside "return function(f) return errors.try(f) end"
    local within = inside "return function(f) return errors.within('verb', f) end"
    for _, value in ipairs { "plain", 7, {} } do
      local function fails() error(value, 0) end
      assert.same({ false, value }, { pcall(try, fails) })
      assert.same({ false, value }, { pcall(within, fails) })
    end
    local ok, message = pcall(try, function() error "mine" end)
    assert.is_false(ok)
    assert.matches("^" .. HERE .. ":%d+: mine$", message)
  end)

  it("get the public function's name once", function()
    local within = inside "return function(name, f, ...) return errors.within(name, f, ...) end"
    local nameless = inside "return function() errors.raise 'wrong' end"
    assert.equal("verb: wrong", (caught(function() within("verb", nameless) end)))
    assert.equal("verb: wrong", (caught(function() within("verb", deep, "wrong") end)))
    assert.equal("outer: verb: wrong", (caught(function() within("outer", deep, "wrong") end)))
    assert.same({ 1, 2 }, { within("verb", inside "return function() return 1, 2 end") })
  end)

  it("that were caught are raised again at the same place", function()
    local again = inside [[
      return function(f, ...)
        local ok, problem = errors.catch(f, ...)
        assert(not ok and errors.is_fault(problem))
        errors.rethrow(problem, "verb")
      end]]
    assert.equal("verb: wrong", (caught(function() again(deep, "wrong") end)))
  end)

  it("come in the place of a value", function()
    local check = inside "return function(...) local value = errors.check(...) return value end"
    assert.equal(5, check(5))
    assert.equal("no such file", (caught(function() check(nil, "no such file") end)))
  end)
end)

describe("messages", function()
  local evil = "\27[31mx\n\u{202E}\xFF"
  local shown = "\\x1B[31mx\\n\\u{202E}\\xFF"

  it("show what a terminal would obey", function()
    local raise = inside "return function(...) errors.raise(...) end"
    local refuse = inside "return function(...) errors.refuse('verb', ...) end"
    local check = inside "return function(...) errors.check(...) end"
    assert.equal("class '" .. shown .. "'", (caught(function() raise("class '%s'", evil) end)))
    assert.equal(shown, (caught(function() raise(evil) end)))
    assert.equal("verb: " .. shown, (caught(function() refuse("%s", evil) end)))
    assert.equal(shown, (caught(function() check(nil, evil) end)))
    local ok, message = inside "return function(f, ...) return errors.try(f, ...) end" (raise, evil)
    assert.same({ false, shown }, { ok, message })
  end)

  it("of warnings as well, a line each", function()
    local text = stderr.calls(function()
      errors.warn("load: '%s': %d %%", evil, 3)
      errors.warn(evil)
      errors.warn_lines { "one", evil }
    end)
    assert.same({ "load: '" .. shown .. "': 3 %\n", shown .. "\n", "one\n" .. shown .. "\n" }, text)
  end)

  it("of warnings in one piece, so that those of several processes do not mix", function()
    local real, pieces = io.stderr, {}
    io.stderr = { write = function(_, ...) pieces[#pieces + 1] = select("#", ...) end } -- luacheck: ignore 122
    pcall(errors.warn, "one")
    pcall(errors.warn_lines, { "one", "other" })
    io.stderr = real -- luacheck: ignore 122
    assert.same({ 1, 1 }, pieces)
  end)
end)
