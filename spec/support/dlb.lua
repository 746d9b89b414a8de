--- DL-Backtrace as the package dl_backtrace computes it (spec/fixtures/dlb.safetensors, from make_dlb.py), ours beside
-- it, and the contrastive rule once more, term by term.
local json = require "secateur.util.json"
local rules = require "secateur.attribution.rules"
local safetensors = require "secateur.formats.safetensors"
local single = require "support.single"

local dlb = {}

local tensors, metadata

--- The fixtures' cases under a prefix.
-- @string prefix "contrastive/" or "compat/"
-- @treturn {table,...} `name`, `attrs`, `tensors`, in order of name
function dlb.cases(prefix)
  if not tensors then tensors, metadata = safetensors.load "spec/fixtures/dlb.safetensors" end
  local list = {}
  for name, text in pairs(metadata) do
    if name:sub(1, #prefix) == prefix and not name:find "/net$" then list[#list + 1] = dlb.case(name, text) end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  assert(#list > 0, "no cases")
  return list
end

--- One of them.
-- @string name
-- @treturn table
function dlb.case(name)
  if not tensors then tensors, metadata = safetensors.load "spec/fixtures/dlb.safetensors" end
  local case = { name = name, attrs = json.decode(metadata[name]), tensors = {} }
  for key, tensor in pairs(tensors) do
    if key:sub(1, #name + 1) == name .. "/" then case.tensors[key:sub(#name + 2)] = tensor end
  end
  return case
end

local op_rules = {
  contrastive = { max_pool2d = rules.own "ties" },
  compat = { conv2d = rules.dlb "package", linear = rules.dlb "package" },
}

-- Sums: the first input is the graph's, the others are parameters, and the batch is part of the shape.
local function sum_graph(core, case)
  local graph, names, count = core.graph(), {}, case.tensors.x:size(1)
  local numel = case.tensors.x:numel() // count
  local function input(i) return single.tensor(core, single.flat(case.tensors.x:view(i)), { 1, numel }) end
  for i = 1, count do
    names[i] = "x" .. i
    graph:add(i == 1 and "input" or "parameter", names[i], {}, { shape = { numel } })
    if i > 1 then graph:set_parameter(names[i] .. ".value", input(i)) end
  end
  graph:add("add", "n", names)
  return graph, input(1), names
end

local function op_graph(core, case)
  local graph, shape = core.graph(), case.tensors.x:shape()
  local attrs = {}
  for key, value in pairs(case.attrs) do
    if key ~= "op" and key ~= "activation" then attrs[key] = value end
  end
  local x = single.tensor(core, single.flat(case.tensors.x), shape)
  table.remove(shape, 1)
  graph:add("input", "x", {}, { shape = shape })
  graph:add(case.attrs.op, "n", { "x" }, attrs)
  for _, slot in ipairs { "weight", "bias" } do
    local value = case.tensors[slot]
    if value then graph:set_parameter("n." .. slot, single.tensor(core, single.flat(value), value:shape())) end
  end
  local activation = case.attrs.activation
  if activation == "swish" then activation = "silu" end -- the package's name
  if activation and activation ~= "None" then graph:add(activation, "a", { "n" }) end
  return graph, x, { "x" }
end

--- Relevance at the inputs of a case, by a build of the core.
-- @tparam table core
-- @tparam table case
-- @string kind "contrastive" or "compat"
-- @tparam[opt] table rule in place of the method's
-- @treturn {number,...} (the positive signal)
-- @treturn {number,...}|nil the negative one
function dlb.run(core, case, kind, rule)
  local graph, x, inputs = (case.attrs.op == "add" and sum_graph or op_graph)(core, case)
  local two = kind == "contrastive"
  local of_op = rule or op_rules[kind][case.attrs.op] or (two and rules.contrastive() or rules.magnitudes())
  local walker = core.relevance(graph, { batch = x:size(1), second_relevance = two,
    rules = { n = of_op, a = rules.pass() } })
  local shape = walker:forward(x):shape()
  local function start(name) return single.tensor(core, single.flat(case.tensors[name]), shape) end
  if two then
    walker:backward(start "positive_out", start "negative_out")
  else
    walker:backward(start "relevance_out")
  end
  local function collect(second)
    local list = {}
    for _, name in ipairs(inputs) do
      for _, value in ipairs(single.flat(walker:relevance(name, second))) do list[#list + 1] = value end
    end
    return list
  end
  return collect(false), two and collect(true) or nil
end

--- The contrastive rule at one output.
-- @tparam {number,...} z its terms
-- @number b its bias
-- @number positive signal at the output
-- @number negative signal at the output
-- @treturn {number,...} what each term takes of the positive signal
-- @treturn {number,...} and of the negative one
function dlb.contrast(z, b, positive, negative)
  local p, n, to_positive, to_negative = 0, 0, {}, {}
  for i, term in ipairs(z) do
    p, n = p + math.max(term, 0), n + math.max(-term, 0)
    to_positive[i], to_negative[i] = 0, 0
  end
  local t = p - n + b
  local mixed = p > 0 and n > 0
  local straight = t > 0 and positive > negative or t < 0 and positive < negative
  for i, term in ipairs(z) do
    local share = math.abs(term) / (term > 0 and p or n)
    if term ~= 0 and not mixed then
      to_positive[i], to_negative[i] = share * positive, share * negative
    elseif term ~= 0 and t ~= 0 then
      if (term > 0) == straight then to_positive[i] = share * positive else to_negative[i] = share * negative end
    end
  end
  return to_positive, to_negative
end

return dlb
