--- PyTorch's values for single operations (spec/fixtures/ops.safetensors, written by make_ops.py), in float.
local json = require "secateur.util.json"
local core = require "secateur.core"
local safetensors = require "secateur.formats.safetensors"
local single = require "support.single"

local reference = {}

local TOLERANCE = 1e-5

local tensors, metadata

--- The cases of one operation.
-- @tparam string op its name in the fixtures
-- @treturn table list of `{name =, attrs =, [tensor name] = Tensor}`, in order of name
function reference.cases(op)
  if not tensors then tensors, metadata = safetensors.load("spec/fixtures/ops.safetensors") end
  local cases = {}
  for key, attrs in pairs(metadata) do
    if key:match("^(.*)/") == op then
      local case = { name = key, attrs = json.decode(attrs) }
      for name, tensor in pairs(tensors) do
        if name:match("^(.*)/") == key then case[name:match("[^/]+$")] = tensor end
      end
      cases[#cases + 1] = case
    end
  end
  table.sort(cases, function(a, b) return a.name < b.name end)
  assert(#cases > 0, op .. ": no such cases")
  return cases
end

--- Raises unless a tensor agrees with its reference, relative to the largest magnitude.
function reference.compare(what, got, expected)
  return single.compare(what, single.flat(got), single.flat(expected), TOLERANCE)
end

local function sample_shape(batch)
  local shape = batch:shape()
  table.remove(shape, 1)
  return shape
end

local function check_case(op, case)
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = sample_shape(case.x) })
  graph:add(op, "n", { "x" }, case.attrs)
  for _, p in ipairs(graph:parameters()) do
    local value = case[p.name:match("[^.]+$")]
    if value then graph:set_parameter(p.name, value:clone()) end
  end
  local plan = core.plan(graph, { batch = case.x:size(1), backward = true, params = true, keep_grads = { "x" },
    training = case.name:match("/train") ~= nil })
  reference.compare(case.name .. ": y", plan:forward(case.x), case.y)
  plan:backward(case.dy)
  reference.compare(case.name .. ": dx", plan:grad("x"), case.dx)
  for _, p in ipairs(graph:parameters()) do
    local slot = p.name:match("[^.]+$")
    if p.trainable then
      reference.compare(case.name .. ": d" .. slot, plan:param_grad(p.name), case["d" .. slot])
    elseif case[slot .. "_after"] then
      reference.compare(case.name .. ": " .. slot, graph:parameter(p.name), case[slot .. "_after"])
    end
  end
end

--- Raises where an operation with one input differs from PyTorch in its output, a gradient or a running statistic.
-- @treturn boolean true
function reference.check(op)
  for _, case in ipairs(reference.cases(op)) do check_case(op, case) end
  return true
end

return reference
