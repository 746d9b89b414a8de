local strategy = require "secateur.pruning.strategy"

describe("strategy", function()
  local function f(pool) return pool end

  it("is a name, a function or a table", function()
    local named = strategy.read("sample", "sampling", "random")
    assert.same({ "random", "class", true }, { named.name, named.scope, named.builtin })
    assert.equal("function", type(named.choose))
    local own = strategy.read("sample", "sampling", f)
    assert.same({ "custom", "class", f }, { own.name, own.scope, own.choose })
    assert.is_nil(own.builtin)
    local whole = strategy.read("sample", "sampling", { choose = f, scope = "all", version = 3, name = "mine" })
    assert.same({ "mine", "all", f, 3 }, { whole.name, whole.scope, whole.choose, whole.version })
    assert.equal("mine", tostring(whole))
    assert.equal(whole, strategy.read("sweep", "sampling.x", whole))
  end)

  it("says what is wrong with others", function()
    local function wrong(message, value)
      assert.has_error(function() strategy.read("sample", "sampling", value) end, "sample: sampling" .. message)
    end
    wrong(": missing", nil)
    wrong(".choose: missing", {})
    wrong(".choose: expected a function, got 'random'", { choose = "random" })
    wrong(".scope: expected one of 'class', 'all', got 'every'", { choose = f, scope = "every" })
    wrong(".version: expected a string or a number, got true", { choose = f, version = true })
    wrong(": expected { choose = function, scope =, version =, name = }, got a field 'scop'; did you mean 'scope'?",
      { choose = f, scop = "all" })
    assert.error_matches(function() strategy.read("sample", "sampling", "randon") end,
      "expected one of .* or a function or a table, got 'randon'; did you mean 'random'%?$")
    assert.error_matches(function() strategy.read("sample", "sampling", 3) end, "or a function or a table, got 3$")
  end)

  it("is told from others by its name, its version or its function", function()
    local function identity(value) return strategy.identity(strategy.read("sample", "sampling", value)) end
    assert.same({ builtin = "random" }, identity "random")
    assert.same({ choose = f, scope = "class" }, identity(f))
    assert.same({ version = "2", scope = "all" }, identity { choose = f, version = "2", scope = "all" })
  end)
end)
