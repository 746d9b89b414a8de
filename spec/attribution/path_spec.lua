local interrupt = require "support.interrupt"
local needs = require "support.needs"

describe("a path", function()
  -- Most of the time goes by outside the runs of the graph, where a signal reaches Lua's own handler.
  it("ends soon after Ctrl-C, wherever that finds it", function()
    needs.proc(pending)
    interrupt.check { setup = [[
      local graph = core.graph()
      graph:add("input", "input", {}, { shape = { 8, 128, 128 } })
      graph:add("relu", "a", { "input" })
      graph:add("flatten", "f", { "a" })
      graph:add("select", "s", { graph:add("tokens", "t", { "a" }) }, { index = 1 })
      local gradients = core.gradients(graph, { batch = 8, nodes = { "a" }, quantity = "conductance", units = true })
      local x = core.randn(8, 8, 128, 128)
      local seeds = core.zeros(8, 8)
      local points = {}
      for k = 0, 1000000 do table.move({ k / 1000000, 0, 1 }, 1, 3, #points + 1, points) end
    ]], call = "gradients.along, gradients, x, x, seeds, points" }
  end)
end)
