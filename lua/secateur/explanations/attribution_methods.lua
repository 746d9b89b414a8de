--- Ways of explaining, under one face: names of methods, options of attribute, or functions of one's own.
-- @module secateur.explanations.attribution_methods
local attribute = require "secateur.attribution.attribute"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local methods = require "secateur.attribution.methods"
local options = require "secateur.util.options"
local tensors = require "secateur.util.tensors"

local attribution_methods = {}

-- Relevance as a map per sample, [n x H * W]: channels added up.
local function maps_of(label, relevance, x)
  local shape, wanted = tensors.is(relevance) and relevance:shape(), x:shape()
  local good = shape and (#shape == 3 or #shape == 4) and shape[1] == wanted[1] and shape[#shape] == wanted[4]
    and shape[#shape - 1] == wanted[3] and relevance:dtype():find "^float"
  if not good then
    errors.raise("%s: expected relevance like the images, [%s] float32, got %s", label, table.concat(wanted, " x "),
      shape and ("[%s] %s"):format(table.concat(shape, " x "), relevance:dtype()) or options.describe(relevance))
  end
  local maps = (#shape == 4 and relevance:sum(2) or relevance):reshape(wanted[1], -1)
  if not tensors.finite(maps) then errors.raise(label .. ": expected finite relevance, got some that is not") end
  return maps
end

-- A function of one's own gives a Tensor or what attribute gives.
local function call(label, explain, model, x, target)
  local ok, result = errors.catch(explain, model, x, target)
  if not ok and errors.is_exhausted(result) then errors.rethrow(result) end
  if not ok then errors.raise("%s: %s", label, result) end
  if type(result) == "table" and result.input then return result.input, result.layers end
  return result
end

-- Options of attribute, with what the measuring verb decides itself.
local function with(given, target, layers, batch)
  local opts = { batch = batch }
  for key, value in pairs(given) do opts[key] = value end
  opts.target, opts.layers = target, layers
  return opts
end

--- Makes an explainer.
-- @string label what messages call it
-- @param how a method's name, a table of options of `attribute`, or a function(model, x, classes) -> Tensor like x or
--   Attribution
-- @int batch the most samples at a time
-- @treturn function (model, x, classes, layers = {}) -> maps [n x H * W], relevance of layers by name
function attribution_methods.make(label, how, batch)
  if type(how) == "function" then
    return function(model, x, classes)
      local own = table.move(classes, 1, #classes, 1, {}) -- what it does to images and classes is its own affair
      local relevance, layers = call(label, how, model, x:clone(), own)
      return maps_of(label, relevance, x), layers or {}
    end
  end
  local given = type(how) == "string" and { method = how } or how
  return function(model, x, classes, layers)
    local ok, result, name = errors.try(attribute, model, x, with(given, classes, layers or {}, batch))
    if not ok then errors.raise("%s: %s: %s", label, name, result) end
    return maps_of(label, result.input, x), result.layers
  end
end

--- Relevance that knows nothing: normal numbers, others whenever a sample is asked for, the same whatever else is in
-- the batch.
-- @int seed
-- @treturn function (model, x, classes, layers, first: the number of the first sample) -> as what `make` gives
function attribution_methods.random(seed)
  local asked = {} -- how often each sample was
  return function(_, x, _, _, first)
    local pixels = x:size(3) * x:size(4)
    local maps = core.zeros(x:size(1), pixels)
    for i = 1, x:size(1) do
      local sample = first + i - 1
      asked[sample] = (asked[sample] or 0) + 1
      maps:view(i):copy(core.randn(1, pixels, { seed = core.mix(core.mix(seed, sample), asked[sample]) }))
    end
    return maps, {}
  end
end

--- Checks one way of explaining.
-- @string name the public function
-- @string argument
-- @param how as `make` takes it
function attribution_methods.check(name, argument, how)
  local kind = type(how)
  if kind ~= "string" and kind ~= "table" and kind ~= "function" then
    errors.refuse(name, "%s: expected a method's name, options of attribute or a function, got %s", argument,
      options.describe(how))
  end
  for _, key in ipairs { "target", "layers" } do
    if kind == "table" and how[key] ~= nil then
      errors.refuse(name, "%s: expected no option '%s', which is the measure's to choose", argument, key)
    end
  end
  if kind == "function" then return end
  methods.check(("%s: %s"):format(name, argument), kind == "string" and { method = how } or how, methods.common)
end

-- Whether what is said of a sample is the same whatever else is in the batch, and wherever it stands there. Of
-- functions of one's own nobody knows; SmoothGrad draws noise by the place, and a baseline may be a list or Tensor of
-- one per sample.
local function is_by_sample(how)
  if type(how) == "function" then return false end
  if type(how) == "string" then how = { method = how } end
  local method, baseline = how.method, how.baseline
  return method ~= "smoothgrad" and (baseline == nil or type(baseline) == "string")
end

-- What `heatmaps` takes as a method, `{name =, label =, colormap =, …}`, as options of attribute.
local function options_of(entry)
  local how = { method = entry.name }
  for key, value in pairs(entry) do
    if key ~= "name" and key ~= "label" and key ~= "colormap" then how[key] = value end
  end
  return how
end

--- Several by name: a list of methods' names, or of tables as `heatmaps` takes them, first; then entries name = how in
-- the order of names. Or "all": every method of `attribute`, each with `optional`, for models where some are undefined.
-- @string name the public function
-- @param given
-- @int batch
-- @treturn {table,...} each `name`, `explain`, `optional`, `by_sample` (whether what it says of a sample depends on
--   nothing else in the batch)
function attribution_methods.list(name, given, batch)
  local all = given == "all"
  if all then given = methods.explaining end
  local list, seen, keys = {}, {}, {}
  local function add(label, how)
    if label == "random" or seen[label] then
      errors.refuse(name, "methods: expected different names, and 'random' for nothing else, got '%s'", label)
    end
    attribution_methods.check(name, "methods." .. label, how)
    seen[label] = true
    local explain = attribution_methods.make("methods." .. label, how, batch)
    list[#list + 1] = { name = label, explain = explain, optional = all, by_sample = is_by_sample(how) }
  end
  for i, method in ipairs(given) do
    local entry = type(method) == "table" and type(method.name) == "string" and method
    if type(method) ~= "string" and not entry then
      errors.refuse(name, "methods: expected a method's name or a table with one, got %s at %d",
        options.describe(method), i)
    end
    if entry and entry.label ~= nil and type(entry.label) ~= "string" then
      errors.refuse(name, "methods: expected a string as label, got %s at %d", options.describe(entry.label), i)
    end
    if entry then add(entry.label or entry.name, options_of(entry)) else add(method, method) end
  end
  for key in pairs(given) do
    if type(key) == "string" then
      keys[#keys + 1] = key
    elseif not (math.type(key) == "integer" and key >= 1 and key <= #given) then
      errors.refuse(name, "methods: expected names as keys, got " .. options.describe(key))
    end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do add(key, given[key]) end
  if #list == 0 then errors.refuse(name, "methods: expected at least one, got none") end
  return list
end

return attribution_methods
