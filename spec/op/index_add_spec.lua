local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local single = require "support.single"

-- The sum in Lua: units of [batch x units x positions], or with last_axis of [batch x positions x units].
local function replica(case, batch, inputs, positions, last_axis)
  local units, y, at = case.attrs.units, {}, 0
  for i = 1, batch * units * positions do y[i] = 0 end
  local function place(count, b, unit, p)
    return last_axis and (b * positions + p) * count + unit + 1 or (b * count + unit) * positions + p + 1
  end
  for i, x in ipairs(inputs) do
    local shape = case.inputs[i]
    local count = shape[last_axis and #shape or 1]
    local whole = i == 1 and count == units
    for u = 0, count - 1 do
      local to = whole and u + 1 or case.index[at + u + 1]
      for b = 0, to >= 1 and to <= units and batch - 1 or -1 do
        for p = 0, positions - 1 do
          local from = place(count, #x == count * positions and 0 or b, u, p)
          y[place(units, b, to - 1, p)] = y[place(units, b, to - 1, p)] + x[from]
        end
      end
    end
    if not whole then at = at + count end
  end
  return y
end

local maps = { op = "index_add", inputs = { { 2, 3, 2 }, { 3, 3, 2 } }, attrs = { units = 5 },
  index = { 5, 1, 2, 5, 4 } }
local whole = { op = "index_add", inputs = { { 4, 3, 1 }, { 2, 3, 1 }, { 1, 3, 1 } }, attrs = { units = 4 },
  index = { 4, 1, 3 } }
local tokens = { op = "index_add", inputs = { { 3, 2 }, { 3, 4 } }, attrs = { units = 6 },
  index = { 6, 2, 1, 2, 0, 7 } }
local vector = { op = "index_add", inputs = { { 3 } }, attrs = { units = 5 }, index = { 2, 4, 5 } }

describe("index_add", function()
  it("has the gradient of its values", function()
    for _, case in ipairs { maps, whole, tokens, vector } do gradcheck.check(case) end
  end)

  it("adds units to their places, those of a whole first input in order, and those outside nowhere", function()
    for _, case in ipairs { maps, whole, tokens, vector } do
      local x, y, graph, shape = single.run(core, case, 3)
      local inputs, numel = { x }, single.count(case.inputs[1])
      for i = 2, #case.inputs do inputs[i] = single.flat(graph:parameter("p" .. i .. ".value")) end
      local last_axis = #case.inputs[1] == 2
      local count = case.inputs[1][last_axis and 2 or 1]
      assert.equal(case.attrs.units, shape[last_axis and 3 or 2])
      assert.same(replica(case, 3, inputs, numel // count, last_axis), y)
    end
  end)

  it("adds nothing while its index is zero, as it is when new", function()
    local _, y = single.run(core, { op = "index_add", inputs = { { 3 } }, attrs = { units = 4 } }, 1)
    assert.same({ 0, 0, 0, 0 }, y)
  end)

  it("reaches nothing outside whatever the index says", function()
    for _, wrong in ipairs { math.maxinteger, math.mininteger, -1, 6 } do
      local _, y = single.run(core, { op = "index_add", inputs = { { 1, 3, 2 } }, attrs = { units = 5 },
        index = { wrong } }, 2)
      for _, value in ipairs(y) do assert.equal(0, value) end
    end
  end)

  it("reads a first input that is another one as well before it writes over it", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 3 } })
    graph:add("relu", "y", { "x" })
    graph:add("index_add", "n", { "y", "y" }, { units = 3 })
    graph:set_parameter("n.index", core.tensor({ 2, 3, 1 }, "int64"))
    assert.same({ { 1 + 4, 2 + 1, 4 + 2 } }, core.plan(graph, {}):forward(core.tensor { { 1, 2, 4 } }):totable())
  end)

  it("refuses positions that differ, and a single input that has all units", function()
    assert.equal("index_add 'n': input 2: expected [2x3x2] but for the units, got [3x3x1]",
      single.refusal(core, { op = "index_add", inputs = { { 2, 3, 2 }, { 3, 3, 1 } }, attrs = { units = 5 } }))
    assert.equal("index_add 'n': units: expected more than the 3 of the only input",
      single.refusal(core, { op = "index_add", inputs = { { 3 } }, attrs = { units = 3 } }))
  end)
end)
