local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local single = require "support.single"

local float = require "secateur.core"

local function plan_of(build, size, p, training)
  local graph = build.graph()
  graph:add("input", "x", {}, { shape = { size } })
  graph:add("dropout", "n", { "x" }, { p = p })
  return build.plan(graph, { batch = 3, training = training, backward = true, keep_grads = { "x" } })
end

local function ones(build, batch, size) return build.ones(batch, size) end

describe("dropout", function()
  it("has the gradient of its values: the backward pass drops the same elements", function()
    gradcheck.check { op = "dropout", inputs = { { 3, 5, 7 } }, attrs = { p = 0.3 }, training = true, random = true }
    gradcheck.check { op = "dropout", inputs = { { 11 } } }
  end)

  it("is the identity outside of training", function()
    local x, y = single.run(core, { op = "dropout", inputs = { { 5, 7 } }, attrs = { p = 0.9 } }, 3)
    assert.same(x, y)
  end)

  it("zeroes about p of the elements and divides the others by 1 - p", function()
    for _, p in ipairs { 0, 0.1, 0.5, 0.75, 1 } do
      local size, kept, off = 40000, 0, 0
      local y = single.flat(plan_of(core, size, p, true):forward(ones(core, 3, size), 7))
      for _, value in ipairs(y) do
        if value ~= 0 then
          kept = kept + 1
          off = math.max(off, math.abs(value - 1 / (1 - p)))
        end
      end
      local n = 3 * size
      assert.is_true(off < 1e-12)
      assert.is_true(math.abs(kept - (1 - p) * n) <= 4 * math.sqrt(p * (1 - p) * n)) -- 4 standard deviations
    end
  end)

  it("draws by seed and element: the same again, another for another seed, no pattern between neighbours", function()
    local size = 20000
    local plan = plan_of(core, size, 0.5, true)
    local first = single.flat(plan:forward(ones(core, 3, size), 1))
    local other = single.flat(plan:forward(ones(core, 3, size), 2))
    single.compare("again", single.flat(plan:forward(ones(core, 3, size), 1)), first, 0)
    single.compare("in float", single.flat(plan_of(float, size, 0.5, true):forward(ones(float, 3, size), 1)), first, 0)
    -- Each pair of independent fair draws agrees half of the time.
    local function agreement(lag, list)
      local same = 0
      for i = 1, #first - lag do same = same + (first[i] == list[i + lag] and 1 or 0) end
      return same / (#first - lag)
    end
    assert.near(0.5, agreement(0, other), 0.01)
    for _, lag in ipairs { 1, 2, 16, 256, 16384, size } do assert.near(0.5, agreement(lag, first), 0.012) end
  end)

  it("draws another mask for each node", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 1000 } })
    graph:add("dropout", "a", { "x" })
    graph:add("dropout", "b", { "x" })
    graph:add("add", "n", { "a", "b" })
    local counts = { [0] = 0, [2] = 0, [4] = 0 }
    for _, value in ipairs(single.flat(core.plan(graph, { training = true }):forward(ones(core, 1, 1000), 3))) do
      counts[value // 1 | 0] = counts[value // 1 | 0] + 1
    end
    assert.near(500, counts[2], 80)
  end)

  it("refuses a p that is no probability", function()
    assert.equal("dropout 'n': p: expected a number in [0.0, 1.0], got 1.5",
      single.refusal(core, { op = "dropout", inputs = { { 3 } }, attrs = { p = 1.5 } }))
  end)
end)
