local child = require "support.child"

-- What the states of three threads return, in a process whose own handler of SIGINT counts.
local SCRIPT = [==[
local results, signals, restored = require("spec.lua_threads").run([=[%s]=], 3, package.path, package.cpath, %s)
for _, one in ipairs(results) do print(one.good, one.message) end
print(restored, signals > 0)
io.stdout:flush() -- should another signal be on its way
]==]

local function run(code, interrupted)
  return child.run(SCRIPT:format(code, tostring(interrupted or false)))
end

describe("Lua states in several threads", function()
  -- Unprotected counts of scopes go wrong within some thousand of them, and then the handler stays.
  it("leave the process's own handler of SIGINT in place", function()
    local output = run [[
      local core = require "secateur.core"
      local x = core.zeros(2)
      meet()
      for i = 1, 200000 do x:argsort(1) end
      return x:size(1)
    ]]
    assert.equal("true\t2\ntrue\t2\ntrue\t2\ntrue\tfalse\n", output)
  end)

  it("all hear of Ctrl-C", function()
    local output = run([[
      local core = require "secateur.core"
      local graph = core.graph()
      graph:add("input", "x", {}, { shape = { 8, 32, 32 } })
      for i = 1, 20 do graph:add("conv2d", "c" .. i, { i == 1 and "x" or "c" .. i - 1 },
        { out = 8, kernel = 3, padding = 1 }) end
      local plan, x = core.plan(graph, { batch = 1 }), core.zeros(1, 8, 32, 32)
      plan:forward(x)
      meet()
      for i = 1, 100000 do plan:forward(x) end
      return "not interrupted"
    ]], true)
    assert.matches("^false\t[^\n]*interrupted\nfalse\t[^\n]*interrupted\nfalse\t[^\n]*interrupted\ntrue\t", output)
  end)
end)
