local child = require "support.child"
local core = require "secateur.core"
local errors = require "support.errors"

-- In processes of their own: the function that raises messages is one per Lua state.
describe("failures of the core", function()
  it("are raised by the function that was set", function()
    local output = child.run [[
      local core = require "secateur.core"
      core.set_raise(function(message) error({ text = message }, 0) end)
      local plan = function() core.zeros(2):get(3) end
      local ok, failure = pcall(plan)
      print(ok, failure.text)
      print(select(2, pcall(core.zeros, -1)).text)
      print(select(2, pcall(core.softmax, 1)).text)
      print(select(2, pcall(core.image_load, "no such file.png")).text)
    ]]
    assert.equal("false\tget: index: expected a whole number in 1..2, got 3\n" ..
      "zeros: shape: expected a whole number of at least 0, got -1\n" ..
      "softmax: logits: expected a Tensor, got 1\n" ..
      "image_load: 'no such file.png': No such file or directory\n", output)
  end)

  it("are raised even where that function comes back", function()
    local output = child.run [[
      local core = require "secateur.core"
      local told
      core.set_raise(function(message) told = message end)
      print(pcall(core.zeros, -1))
      print(told)
    ]]
    assert.equal("false\tzeros: shape: expected a whole number of at least 0, got -1\n" ..
      "zeros: shape: expected a whole number of at least 0, got -1\n", output)
  end)

  it("lose no memory, in finalizers neither", function()
    local output = child.run [[
      local core = require "secateur.core"
      core.set_raise(function(message) error(message, 0) end)
      local a, b = core.zeros(1000, 1000), core.zeros(7)
      collectgarbage()
      local before = core.memory()
      for _ = 1, 1000 do pcall(a.add, a, b) end
      for _ = 1, 100 do
        setmetatable({}, { __gc = function() pcall(a.add, a, b) end })
        collectgarbage "step"
      end
      collectgarbage()
      collectgarbage()
      print(core.memory() - before)
    ]]
    assert.equal("0\n", output)
  end)

  it("are told apart from Ctrl-C, which that function does not get", function()
    local output = child.run [[
      local core = require "secateur.core"
      local raised = {}
      core.set_raise(function(message) raised[#raised + 1] = message error({}) end)
      local process = io.open("/proc/self/stat"):read("n")
      os.execute("{ sleep 0.2; kill -INT " .. process .. "; } &")
      local x, start = core.rand(1000, 1000), core.clock()
      local ok, message = pcall(function()
        while core.clock() - start < 3 do x:argsort(2) end
      end)
      print(ok, #raised, message)
    ]]
    assert.matches("^false\t0\t.*interrupted!?\n$", output)
  end)

  it("need a function", function()
    assert.equal("set_raise: f: expected a function, got nil", errors.text(core.set_raise))
    assert.equal("set_raise: f: expected a function, got 'error'", errors.text(core.set_raise, "error"))
  end)
end)
