local child = require "support.child"
local core = require "secateur.core"

local function network()
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = { 3 } })
  graph:add("linear", "head", { "x" }, { out = 2 })
  return graph
end

-- Runs f in a finalizer, and gives what it came to.
local function in_finalizer(f)
  local results
  setmetatable({}, { __gc = function() results = table.pack(pcall(f)) end })
  collectgarbage()
  return table.unpack(results)
end

-- Calls f while a finalizer calls `disturb`, at the first place where the collector runs, at the second, and so on.
local function disturbed(f, disturb)
  local pause, step, size = 1, 1000, 100 -- the collector goes all the way at every allocation
  local mode = collectgarbage("incremental", pause, step, size)
  for place = 1, 12 do
    local left, meta = place, {}
    function meta.__gc()
      left = left - 1
      if left == 0 then disturb() elseif left > 0 then setmetatable({}, meta) end
    end
    collectgarbage()
    setmetatable({}, meta)
    f()
    left = 0
  end
  collectgarbage("incremental", 200, 100, 13)
  collectgarbage(mode)
end

describe("finalizers of scripts", function()
  local x = core.tensor { { 1, 2, 3 } }

  it("close nothing, since a function of the core may be using it", function()
    local graph = network()
    local plan, optimiser, average = core.plan(graph, { batch = 1 }), core.optimiser(graph), core.ema(graph)
    assert.is_true((in_finalizer(function()
      plan:close()
      optimiser:close()
      getmetatable(average).__gc(average)
      graph:__gc()
      local _ <close> = graph
      x:close()
    end)))
    assert.same({ 1, 2 }, plan:forward(x):shape())
    assert.is_truthy(optimiser:state().steps)
    average:update(0.5)
    assert.equal("head", graph:output())
    plan:close()
    assert.has_error(function() plan:forward(x) end, "forward: self: expected an ExecutionPlan, got a closed one")
  end)

  it("do not disturb what runs meanwhile", function()
    local graph = network()
    local plan, optimiser = core.plan(graph, { batch = 1 }), core.optimiser(graph)
    plan:forward(x)
    disturbed(function()
      assert.same({ 1, 2 }, plan:value("head"):shape())
      assert.is_truthy(optimiser:state()["m/head.weight"])
      assert.same({ 1, 2 }, core.softmax(plan:forward(x)):shape())
      core.mask(graph, { head = { 1 } })
      core.ema(graph, { fixed = { "head.bias" } })
    end, function()
      plan:close()
      optimiser:close()
      graph:__gc()
      x:close()
    end)
  end)

  it("may take names out of the tables that they are read from", function() -- most telling under the sanitizers
    -- in a process where no other code holds the strings that fields are looked up by: these lookups collect
    local output = child.run [[
      local core = require "secateur.core"
      collectgarbage("incremental", 1, 1000, 100)
      for place = 1, 12 do
        local graph, options, inputs = core.graph(), { out = 2 }, { "x" }
        graph:add("input", "x", {}, { shape = { 3 } })
        local bindings = { weight = { name = ("w"):rep(60) } }
        local left, meta = place, {}
        function meta.__gc()
          left = left - 1
          if left == 0 then bindings.weight.name = nil elseif left > 0 then setmetatable({}, meta) end
        end
        collectgarbage()
        setmetatable({}, meta)
        graph:add("linear", "more", inputs, options, bindings)
        left = 0
        local name = graph:parameters()[1].name
        print(name == "more.weight" or name == ("w"):rep(60) or name)
      end
    ]]
    assert.equal(("true\n"):rep(12), output)
  end)

  it("add nothing to a graph, and run none", function()
    local graph = network()
    local done, message = in_finalizer(function() graph:add("relu", "more", { "head" }) end)
    assert.is_false(done)
    assert.matches("add: must not be called from a finalizer", message, 1, true)
    assert.equal(2, #graph:nodes())
    local plan = core.plan(graph, { batch = 1 })
    done, message = in_finalizer(function() plan:forward(x) end)
    assert.is_false(done)
    assert.matches("forward: must not be called from a finalizer", message, 1, true)
  end)

  it("leave to the collector what they could not close", function()
    collectgarbage()
    collectgarbage()
    local before = core.memory()
    do
      local big = core.zeros(1 << 20)
      in_finalizer(function() big:close() end)
      assert.is_true(core.memory() - before >= 4 << 20)
      big = nil -- luacheck: ignore 311
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, (core.memory()))
  end)
end)
