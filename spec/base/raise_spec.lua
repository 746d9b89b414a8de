local child = require "support.child"
local core = require "secateur.core"
local errors = require "support.errors"
local interrupt = require "support.interrupt"
local needs = require "support.needs"

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
    needs.proc(pending)
    local output = interrupt.check { setup = [[
      local raised = {}
      core.set_raise(function(message) raised[#raised + 1] = message error({}) end)
      local x = core.rand(1000, 1000)
    ]], call = "function() while true do x:argsort(2) end end", message = "interrupted$",
      after = "print(#raised)" }
    assert.equal("0\n", output)
  end)

  it("need a function", function()
    assert.equal("set_raise: f: expected a function, got nil", errors.text(core.set_raise))
    assert.equal("set_raise: f: expected a function, got 'error'", errors.text(core.set_raise, "error"))
  end)
end)
