--- LRP and DL-Backtrace: relevance propagated back by the rules of a composite.
-- @module secateur.attribution.propagation
local composites = require "secateur.attribution.composites"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local preparation = require "secateur.models.preparation"
local relevance = require "secateur.attribution.relevance"

local propagation = {}

local start = { one_of = { "one", "logit", "probability" }, default = "one" }
local exact = { type = "boolean", default = false }

-- A number, or a list of one per channel.
local bound = { type = { "number", "list" }, min = -math.huge, max = math.huge, least = 1 }

--- Option rules of each method.
propagation.rules = {
  lrp = { composite = { type = { "string", "table" } }, start = start, exact = exact, low = bound, high = bound,
    batch_norm = { one_of = { "epsilon", "pass" } } },
  dlb = { composite = { type = { "string", "table" } }, start = start, exact = exact,
    mode = { one_of = { "default", "contrastive" }, default = "default" },
    compat = { one_of = { "dl-backtrace" } } },
}

-- What relevance starts from: the weights of the target, times the logits or the probabilities. What speaks against a
-- sigmoid's logit explains that the answer is no, and has the probability of no.
local function start_relevance(kind, weights, logits, head)
  if kind == "one" then return weights end
  if kind == "logit" then return weights * logits end
  if head == "softmax" then return weights * core.softmax(logits) end
  local signed = logits:totable()
  for i, row in ipairs(weights:totable()) do
    for c, weight in ipairs(row) do signed[i][c] = weight < 0 and -signed[i][c] or signed[i][c] end
  end
  return weights * core.sigmoid(core.tensor(signed))
end

-- What speaks for the outputs explained, and what speaks against them, as weights that are not negative: a target that
-- says what it is against (a contrast, or negative weights) has it there; else all classes without weight are against
-- it, and have the sum of the weights in equal parts. A sigmoid's logits do not exclude each other: none is against
-- another.
local function opponents(weights, kind, head)
  if head ~= "softmax" then return weights:clamp(0), (-weights):clamp(0) end
  local rows = weights:totable()
  for _, row in ipairs(rows) do
    local sum, least, idle = 0, 0, 0
    for _, weight in ipairs(row) do
      sum, least, idle = sum + weight, math.min(least, weight), idle + (weight == 0 and 1 or 0)
    end
    local share = kind == "one" and sum / idle or sum -- logits and probabilities have parts of their own
    for k, weight in ipairs(row) do
      row[k] = least < 0 and math.max(-weight, 0) or least == 0 and weight == 0 and share or 0
    end
  end
  return weights:clamp(0), core.tensor(rows)
end

--- Raises where options do not go together, and where a composite is none; whether it fits a model shows there.
-- @string name the public function
-- @tab opts
function propagation.check(name, opts)
  if opts.compat and opts.mode == "contrastive" then
    errors.refuse(name, "compat: expected no mode but 'default' beside it, got 'contrastive': of the package "
      .. "dl_backtrace, the default mode alone is reproduced")
  elseif opts.compat and opts.composite then
    errors.refuse(name, "compat: expected no composite beside it, got both")
  end
  for _, option in ipairs { "low", "high" } do
    if opts[option] ~= nil and opts.composite ~= "epsilon_gamma_box" then
      errors.refuse(name, '%s: expected none but with composite = "epsilon_gamma_box"', option)
    end
  end
  if (opts.low == nil) ~= (opts.high == nil) then
    errors.refuse(name, "%s: missing: low and high go together", opts.low == nil and "low" or "high")
  end
  if opts.batch_norm and type(opts.composite) == "table" then
    errors.refuse(name, "batch_norm: expected none beside a composite of one's own, which says it by an entry with "
      .. "match = 'batch_norm2d'")
  end
  if opts.composite then errors.within(name, composites.get, name, opts.composite, opts) end
end

-- The least and the most that a pixel can be, channel by channel: black and white as the model's images were
-- normalised; nil where that is not known.
local function bounds_of(model)
  local known = preparation.of(model)
  if not known.mean or not known.std or #known.mean ~= model.input_shape[1] then return nil end
  local low, high = {}, {}
  for c, mean in ipairs(known.mean) do low[c], high[c] = (0 - mean) / known.std[c], (1 - mean) / known.std[c] end
  return low, high
end

-- The composite that the options ask for.
local function choose_composite(model, request)
  local opts = request.options
  if opts.compat then return "dlb_compat" end
  local default = opts.mode == "contrastive" and "dlb_contrastive" or request.method == "dlb" and "dlb"
  return opts.composite or default or relevance.default_composite(model.graph)
end

-- What a walker knows of one signal.
local function collect(walker, request, second)
  local layers = {}
  for _, name in ipairs(request.layers) do
    layers[name] = request.units and walker.sums(name, second) or walker.get(name, second)
  end
  return { input = request.input and walker.get("input", second) or nil, layers = layers }
end

-- Positive minus negative, with both.
local function difference(positive, negative)
  local result = { input = positive.input and positive.input - negative.input, layers = {}, positive = positive,
    negative = negative }
  for name, value in pairs(positive.layers) do result.layers[name] = value - negative.layers[name] end
  return result
end

--- Prepares a model; see secateur.attribution.methods. In contrastive mode, results have `positive` and `negative`
-- besides, tables of `input` and `layers` both, and are the one minus the other.
-- @tparam Model model
-- @tab request
-- @treturn function explain
-- @treturn function close
function propagation.prepare(model, request)
  local opts = request.options
  local composite, head = choose_composite(model, request), heads.kind(model)
  local low, high = opts.low, opts.high
  if composite == "epsilon_gamma_box" and low == nil then low, high = bounds_of(model) end
  local walker = relevance.prepare(model, request.name, { composite = composite, batch = request.batch, low = low,
    high = high, batch_norm = opts.batch_norm,
    mode = opts.mode, exact = opts.exact, keep = not request.units and request.layers or nil,
    sums = request.units and request.layers or nil })
  return function(x, weigh)
    local logits = walker.forward(x)
    local weights = weigh(logits)
    local result
    if opts.mode == "contrastive" then
      local for_it, against = opponents(weights, opts.start, head)
      walker.backward(start_relevance(opts.start, for_it, logits, head),
        start_relevance(opts.start, against, logits, head))
      result = difference(collect(walker, request, false), collect(walker, request, true))
    else
      walker.backward(start_relevance(opts.start, weights, logits, head))
      result = collect(walker, request)
    end
    result.logits = logits
    return result
  end, walker.close
end

return propagation
