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
      local plan = core.plan(graph, { batch = 8, backward = true, keep = { "a" }, keep_grads = { "input", "a" } })
      local x = core.randn(8, 8, 128, 128)
      local seeds = core.zeros(8, 8)
      local process = io.open("/proc/self/stat"):read("n")
      os.execute("{ sleep 0.5; kill -INT " .. process .. "; } &")
      local start = core.clock()
      local ok, message = pcall(core.conductance, plan, x, x, seeds, 100000, { "a" }, true)
      print(ok, message, core.clock() - start)
    ]]
    local ok, message, seconds = output:match "^(%S+)\t([^\t]*)\t(%S+)"
    assert.equal("false", ok, output)
    assert.equal("interrupted", message)
    assert.is_true(tonumber(seconds) < 1.5, output)
  end)
end)
