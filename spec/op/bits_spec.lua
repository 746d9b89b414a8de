-- Operations that add up: the same bits for any number of threads, and for each sample whatever else is in the batch.
local bits = require "support.bits"
local core = require "secateur.core"
local single = require "support.single"

-- Large enough that all threads get work, with sizes that no vector divides.
local cases = {
  { op = "batch_norm2d", inputs = { { 11, 37, 41 } } },
  { op = "layer_norm", inputs = { { 67, 333 } } },
  { op = "softmax", inputs = { { 67, 333 } } },
  { op = "gelu", inputs = { { 7, 3333 } } },
  { op = "silu", inputs = { { 7, 3333 } } },
  { op = "max_pool2d", inputs = { { 11, 41, 43 } }, attrs = { kernel = 3, stride = 2, padding = 1 } },
  { op = "avg_pool2d", inputs = { { 11, 41, 43 } }, attrs = { kernel = 3, stride = 2, padding = 1 } },
  { op = "adaptive_avg_pool2d", inputs = { { 11, 41, 43 } }, attrs = { output = { 1, 1 } } },
  { op = "add", inputs = { { 67, 333 }, { 67, 333 }, { 67, 333 } } },
  { op = "dropout", inputs = { { 67, 333 } }, training = true },
}
for _, case in ipairs { cases[1] } do
  cases[#cases + 1] = { op = case.op, inputs = case.inputs, training = true }
end

local BATCH = 5

local function input(case)
  local shape = single.batched(BATCH, case.inputs[1])
  shape[#shape + 1] = { seed = 3 }
  return core.randn(table.unpack(shape))
end

-- What a run forward and back gives.
local function run(case)
  local graph = single.graph(core, case)
  local plan = core.plan(graph, { batch = BATCH, backward = true, params = true, training = case.training or false,
    keep_grads = { "x" } })
  local y = plan:forward(input(case), 42)
  plan:backward(y * 0.37 + 0.1)
  local found = { y, plan:grad "x" }
  for _, p in ipairs(graph:parameters()) do
    if p.trainable then found[#found + 1] = plan:param_grad(p.name) end
    if p.dtype ~= "int64" then found[#found + 1] = graph:parameter(p.name):clone() end
  end
  return found
end

-- Output and gradient of each sample, run in batches of `batch`.
local function run_samples(case, batch)
  local graph, x, found = single.graph(core, case), input(case), {}
  local plan = core.plan(graph, { batch = batch, backward = true, keep_grads = { "x" } })
  for first = 1, BATCH, batch do
    local y = plan:forward(x:view(first, math.min(first + batch - 1, BATCH)))
    plan:backward(y * 0.37 + 0.1)
    local dx = plan:grad "x"
    for i = 1, y:size(1) do found[#found + 1], found[#found + 2] = y[i], dx[i] end
  end
  return found
end

describe("operations that add up", function()
  for _, case in ipairs(cases) do
    it(("%s%s gives the same bits with any number of threads"):format(case.op, case.training and " in training" or ""),
      function() bits.same_for_threads(function() return run(case) end) end)

    if not case.training then
      it(case.op .. " gives each sample the same bits in any batch", function()
        local whole = run_samples(case, BATCH)
        for _, batch in ipairs { 1, 2, 3 } do assert.is_true(bits.equal(whole, run_samples(case, batch)), batch) end
      end)
    end
  end
end)
