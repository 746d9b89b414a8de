local child = require "support.child"

describe("a path", function()
  -- Most of the time goes by outside the runs of the graph, where a signal reaches Lua's own handler.
  it("ends soon after Ctrl-C, wherever that finds it", function()
    local output = child.run [[
      local core = require "secateur.core"
      local graph = core.graph()
      graph:add("input", "input", {}, { shape = { 8, 128, 128 } })
      graph:add("relu", "a", { "input" })
      graph:add("flatten", "f", { "a" })
      graph:add("select", "s", { graph:add("tokens", "t", { "a" }) }, { index = 1 })
      local gradients = core.gradients(graph, { batch = 8, nodes = { "a" }, take = "conductance", units = true })
      local x = core.randn(8, 8, 128, 128)
      local seeds = core.zeros(8, 8)
      local process = io.open("/proc/self/stat"):read("n")
      os.execute("{ sleep 0.7; kill -INT " .. process .. "; } &")
      local start = core.clock()
      local points = {}
      for k = 0, 100000 do table.move({ k / 100000, 0, 1 }, 1, 3, #points + 1, points) end
      local ok, message = pcall(gradients.along, gradients, x, x, seeds, points)
      print(ok, message, core.clock() - start)
    ]]
    local ok, message, seconds = output:match "^(%S+)\t([^\t]*)\t(%S+)"
    assert.equal("false", ok, output)
    assert.equal("interrupted", message)
    assert.is_true(tonumber(seconds) < 1.5, output)
  end)
end)
