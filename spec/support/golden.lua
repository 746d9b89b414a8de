--- Reference values of published packages (torch, captum, zennit, lxt, dl_backtrace) on small models, kept outside the
-- repository, and ours beside them.
local attribute = require "secateur.attribution.attribute"
local composites = require "secateur.attribution.composites"
local core = require "secateur.core"
local models = require "secateur.models"
local rules = require "secateur.attribution.rules"
local safetensors = require "secateur.formats.safetensors"

local golden = {}

local FOLDER = "../shared/golden/"

--- Where the reference values of a file are, if they are there.
-- @string file
-- @treturn string
function golden.path(file) return FOLDER .. file .. ".safetensors" end

-- Zennit leaves an identity batch norm behind that still divides by sqrt(1 + 1e-5); we fold exactly (lrp), and agree
-- when our norms shrink activations as much (lrp_eps). Lxt's functions add another epsilon, without regard to sign.
-- Captum agrees with the definitions.
local tolerances = { ["vgg_bn lrp"] = 5e-5, ["resnet lrp"] = 2e-4, ["vit attnlrp_identity"] = 3e-4,
  ["vit attnlrp_lxt"] = 1e-3 }

-- What the files hold that is given to both sides, as patterns of names; everything else is to be compared.
local given = { "^weight/", "^input$", "^target$", "^%a+/[^/]+/x$", "^%a+/[^/]+/weight$", "^%a+/[^/]+/bias$",
  "^%a+/[^/]+/params$", "^%a+/[^/]+/relevance_out$" }

local function tolerance_of(file, group) return tolerances[file .. " " .. group:match "^[^/]+"] or 1e-5 end

local function build(file)
  if file == "vit" then
    return models.vit { size = 32, patch = 8, layers = 2, heads = 2, dim = 16, mlp = 32, classes = 5, channels = 3 }
  elseif file == "resnet" then
    return models.resnet { block = "bottleneck", stem = 8, planes = { 4, 8 }, blocks = { 2, 1 }, classes = 5, size = 32,
      channels = 3 }
  end
  return models.vgg { config = { 8, 8, "M", 16, 16, "M" }, hidden = { 24 }, pool = 2, classes = 5, size = 16,
    channels = 3, batch_norm = file == "vgg_bn" }
end

-- Largest difference, and the same relative to the largest magnitude of the reference; infinite where not a number.
local function distance(got, expected)
  if not got or got:numel() ~= expected:numel() then return math.huge, math.huge end
  local difference = (got:reshape(got:numel()) - expected:reshape(expected:numel())):abs():max()
  local ratio = difference / expected:abs():max()
  if ratio ~= ratio then return math.huge, math.huge end
  return difference, ratio
end

-- Our name of zennit's composite: EpsilonAlpha2Beta1Flat -> epsilon_alpha2_beta1_flat.
local function our_name(name) return (name:gsub("(%l)(%u)", "%1_%2"):gsub("(%d)(%u)", "%1_%2"):lower()) end

-- The tensors whose name starts with prefix, without it, and their names but for "input".
local function under(tensors, prefix)
  local found, names = {}, {}
  for name, tensor in pairs(tensors) do
    if name:sub(1, #prefix) == prefix then
      local rest = name:sub(#prefix + 1)
      found[rest] = tensor
      if rest ~= "input" then names[#names + 1] = rest end
    end
  end
  table.sort(names)
  return found, names
end

local function targets(tensors)
  local list = {}
  for i, class in ipairs(tensors.target:totable()) do list[i] = class + 1 end
  return list
end

local function compare(rows, file, group, found, expected)
  local names = {}
  for name in pairs(expected) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local absolute, relative = distance(found[name], expected[name])
    rows[#rows + 1] = { file = file, group = group, name = name, absolute = absolute, distance = relative,
      tolerance = tolerance_of(file, group) }
  end
end

local function attributed(model, tensors, prefix, opts)
  local expected, names = under(tensors, prefix)
  opts.target, opts.layers = targets(tensors), names
  local result = attribute(model, tensors.input, opts)
  result.layers.input = result.input
  return result.layers, expected
end

-- A copy whose norms shrink activations by what zennit's left-over norms do; nil where there are no norms.
local function shrunken(model)
  local copy, norms = model:clone(), 0
  for _, p in ipairs(model.graph:parameters()) do
    local norm = p.name:match "^(.*)%.running_var$"
    for _, slot in ipairs(norm and { ".weight", ".bias" } or {}) do
      copy.graph:set_parameter(norm .. slot, model.graph:parameter(norm .. slot) / math.sqrt(1 + 1e-5))
      norms = norms + 1
    end
  end
  return norms > 0 and copy or nil
end

local function compare_lrp(rows, file, model, tensors)
  local seen, copy = {}, shrunken(model)
  for name in pairs(tensors) do seen[name:match "^lrp/([^/]+)/" or false] = true end
  seen[false] = nil
  for composite in pairs(seen) do
    local prefix, opts = "lrp/" .. composite .. "/", { composite = our_name(composite) }
    compare(rows, file, "lrp/" .. composite, attributed(model, tensors, prefix, opts))
    if copy then compare(rows, file, "lrp_eps/" .. composite, attributed(copy, tensors, prefix, opts)) end
  end
end

local function compare_transformer(rows, file, model, tensors)
  if file ~= "vit" then return end
  local identity = composites.get("golden", "attnlrp")
  table.insert(identity, 1, { match = "layer_norm", rule = rules.own "pass" })
  local found = { attnlrp = "attnlrp", attnlrp_identity = identity, attnlrp_lxt = "attnlrp" }
  for group, composite in pairs(found) do
    compare(rows, file, group, attributed(model, tensors, group .. "/", { composite = composite }))
  end
end

-- Captum's conductance with riemann_middle takes the points a_k = (k + 1/2) / 33 and adds up, without weights,
-- gradient(a_k) (h(a_k+1) - h(a_k)), k = 0..31. That is ours from a_0 x to a_32 x, whose steps are 1 / 33 of x.
local function compare_shortened(rows, file, model, tensors)
  local expected, names = under(tensors, "conductance/")
  local result = attribute(model, tensors.input * (32.5 / 33), { method = "ig", baseline = tensors.input * (0.5 / 33),
    target = targets(tensors), layers = names })
  compare(rows, file, "conductance", result.layers, expected)
end

--- Every value of one model.
-- @string file "vgg", "vgg_bn", "resnet" or "vit"
-- @treturn {table,...} `{file =, group =, name =, absolute =, distance =, tolerance =}`: largest difference, and the
--   same relative to the largest magnitude of the reference
function golden.model(file)
  local tensors = safetensors.load(golden.path(file))
  local model = build(file):load_state(tensors, { prefix = "weight/" })
  local rows = {}
  compare(rows, file, "logits", { logits = model:forward(tensors.input) }, { logits = tensors.logits })
  compare(rows, file, "grad", model:gradient(tensors.input, { target = targets(tensors) }), (under(tensors, "grad/")))
  compare(rows, file, "ig", attributed(model, tensors, "ig/", { method = "ig", baseline = "zero" }))
  compare(rows, file, "conductance_trapezoid",
    attributed(model, tensors, "conductance_trapezoid/", { method = "ig", baseline = "zero" }))
  compare_shortened(rows, file, model, tensors)
  compare_lrp(rows, file, model, tensors)
  compare_transformer(rows, file, model, tensors)
  return rows
end

--- DL-Backtrace over the whole vgg model.
-- @treturn {table,...} as golden.model
function golden.dlb_model()
  local weights = safetensors.load(golden.path "vgg")
  local tensors = safetensors.load(golden.path "dlb_vgg")
  local model, rows = build("vgg"):load_state(weights, { prefix = "weight/" }), {}
  compare(rows, "dlb_vgg", "dlb", attributed(model, tensors, "dlb/", { method = "dlb" }))
  return rows
end

-- ---- single operations ----

local op_rules = { max_pool2d = rules.own "ties", avg_pool2d = rules.magnitudes(),
  adaptive_avg_pool2d = rules.magnitudes() }

-- Relevance at x, from that of the output of op (and of an activation behind it); gates as the mode of rules.dlb says.
local function propagate(case, mode, op, attrs, activation)
  local graph, shape = core.graph(), case.x:shape()
  table.remove(shape, 1)
  graph:add("input", "input", {}, { shape = shape })
  graph:add(op, "n", { "input" }, attrs)
  if case.weight then
    graph:set_parameter("n.weight", case.weight)
    graph:set_parameter("n.bias", case.bias)
  end
  local table_of_rules = { n = op_rules[op] or rules.dlb(mode) }
  if activation then
    graph:add(activation, "a", { "n" })
    table_of_rules.a = rules.pass()
  end
  local walker = core.relevance(graph, { batch = case.x:size(1), rules = table_of_rules })
  walker:forward(case.x)
  walker:backward(case.relevance_out)
  return walker:relevance "input"
end

-- Sums: x stacks the inputs; one is the graph's, the others are parameters, and the batch is part of the shape.
local function propagate_sum(case)
  local count, numel = case.x:size(1), case.x:numel() // case.x:size(1)
  local graph, names = core.graph(), {}
  for i = 1, count do
    names[i] = "x" .. i
    graph:add(i == 1 and "input" or "parameter", names[i], {}, { shape = { numel } })
    if i > 1 then graph:set_parameter(names[i] .. ".value", case.x[i]:reshape(1, numel)) end
  end
  graph:add("add", "n", names)
  local walker = core.relevance(graph, { rules = { n = rules.magnitudes() } })
  walker:forward(case.x[1]:reshape(1, numel))
  walker:backward(case.relevance_out:reshape(1, numel))
  local all = core.zeros(count, numel)
  for i = 1, count do
    local part = walker:relevance(names[i])
    for k = 1, numel do all:set(part:get(1, k), i, k) end
  end
  return all
end

local sums = { add = true, residual = true }
local pools = { maxpool = "max_pool2d", avgpool = "avg_pool2d" }

-- Where the package's convolutions see a saturating activation they are not what their authors write (README of the
-- values, quirks 2 and 3), and what we do in mode "package" alone.
local function comparable(op, variant) return op ~= "conv" or variant:find "None$" or variant:find "relu$" end

local function relevance_of(op, variant, case, mode)
  if sums[op] then return propagate_sum(case) end
  if op == "gavgpool" then return propagate(case, mode, "adaptive_avg_pool2d", { output = 1 }) end
  local activation = variant:match "(%a+)$"
  if activation == "None" then activation = nil end
  if op == "fc" then return propagate(case, mode, "linear", { out = case.weight:size(1) }, activation) end
  local kernel, stride, padding = table.unpack(case.params:totable())
  local attrs = { kernel = kernel, stride = stride, padding = padding }
  if pools[op] then return propagate(case, mode, pools[op], attrs) end
  attrs.out = case.weight:size(1)
  return propagate(case, mode, "conv2d", attrs, activation)
end

--- DL-Backtrace on single operations: as the package computes it, and as we mean it where that is the same.
-- @treturn {table,...} as golden.model
function golden.dlb_ops()
  local tensors, cases, order, rows = safetensors.load(golden.path "dlb_ops"), {}, {}, {}
  for name, tensor in pairs(tensors) do
    local key, part = name:match "^(.*)/([^/]+)$"
    if not cases[key] then
      cases[key] = {}
      order[#order + 1] = key
    end
    cases[key][part] = tensor
  end
  table.sort(order)
  for _, key in ipairs(order) do
    local op, variant = key:match "^([^/]+)/(.*)$"
    for _, mode in ipairs { "package", comparable(op, variant) and "default" or nil } do
      compare(rows, "dlb_ops", op, { [variant] = relevance_of(op, variant, cases[key], mode) },
        { [variant] = cases[key].relevance_in })
    end
  end
  return rows
end

--- The tensors of a file that are neither given to both sides nor in any of its rows.
-- @string file
-- @tparam {table,...} rows of that file
-- @treturn {string,...} names, in order
function golden.missing(file, rows)
  local compared, missing = {}, {}
  for _, row in ipairs(rows) do
    compared[row.group .. "/" .. row.name .. (file == "dlb_ops" and "/relevance_in" or "")] = true
  end
  for name in pairs(safetensors.load(golden.path(file))) do
    local known = compared[name] or compared[name .. "/" .. name]
    for _, pattern in ipairs(given) do known = known or name:find(pattern) end
    if not known then missing[#missing + 1] = name end
  end
  table.sort(missing)
  return missing
end

--- All of them, by file.
golden.files = { "vgg", "vgg_bn", "resnet", "vit", "dlb_vgg", "dlb_ops" }

--- The rows of one file.
-- @string file
-- @treturn {table,...}
function golden.rows(file)
  if file == "dlb_vgg" then return golden.dlb_model() end
  if file == "dlb_ops" then return golden.dlb_ops() end
  return golden.model(file)
end

return golden
