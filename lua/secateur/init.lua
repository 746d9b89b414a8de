--- Interpretability-aware pruning of image classifiers: train, explain, score, prune, evaluate.
-- `require "secateur"` gives the names below and nothing else. Each loads its module when it is first used.
-- @module secateur

-- Public name -> module; "module:key" is a field of that module.
local names = {
  tensor = "core:tensor",
  zeros = "core:zeros",
  ones = "core:ones",
  full = "core:full",
  randn = "core:randn",
  rand = "core:rand",
  threads = "core:threads",
  cpu = "cpu:level",
  model = "models.custom",
  models = "models",
  load = "models.load",
  load_checkpoint = "models.checkpoint",
  load_weights = "formats.weights:load",
  train = "train",
  evaluate = "evaluate",
  attribute = "attribute",
  faithfulness = "faithfulness",
  agreement = "agreement",
  heatmap = "attribution.heatmap",
  heatmaps = "heatmaps",
  data = "data",
  save_image = "core:image_save",
  importance = "importance",
  prune = "prune",
  rules = "attribution.rules",
  sample = "sample",
  safetensors = "formats.safetensors",
  sweep = "sweep",
  report = "report",
}

local function load_name(secateur, name)
  local where = names[name]
  if not where then
    error(("secateur: no such function '%s'"):format(tostring(name)), 2)
  end
  local module, key = where:match("^([^:]+):?(.*)$")
  local value = require("secateur." .. module)
  if key ~= "" then value = value[key] end
  rawset(secateur, name, value)
  return value
end

return setmetatable({}, { __index = load_name })
