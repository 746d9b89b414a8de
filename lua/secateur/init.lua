--- Interpretability-aware pruning of image classifiers: train, explain, score, prune, evaluate.
-- `require "secateur"` gives the names below and nothing else. Each loads its module when it is first used.
-- @module secateur

-- The native core is compiled for one version; in another one loading it fails with the name of a C function.
assert(_VERSION == "Lua 5.4", "secateur: expected Lua 5.4, got " .. _VERSION .. "; run the script with lua5.4")

-- Public name -> module; "module:key" is a field of that module.
local names = {
  help = "help",
  main = "mpi.main",
  output_file = "util.output:file",
  output_folder = "util.output:folder",
  tensor = "core:tensor",
  zeros = "core:zeros",
  ones = "core:ones",
  full = "core:full",
  randn = "core:randn",
  rand = "core:rand",
  fingerprint = "util.fingerprint:of",
  threads = "core:threads",
  clock = "core:clock",
  cpu = "cpu:level",
  model = "models.custom",
  models = "models",
  load = "models.load",
  load_checkpoint = "pretrained.load_checkpoint",
  load_weights = "formats.weights:load",
  train = "training.train",
  evaluate = "evaluation.evaluate",
  cost = "models.cost",
  attribute = "attribution.attribute",
  faithfulness = "explanations.faithfulness",
  agreement = "explanations.agreement",
  heatmap = "explanations.heatmap",
  heatmaps = "explanations.heatmaps",
  predict = "explanations.predict",
  data = "data",
  image = "data.image",
  save_image = "core:image_save",
  importance = "pruning.importance",
  prune = "pruning.prune",
  compact = "pruning.compact",
  lossless = "pruning.lossless",
  rules = "attribution.rules",
  sample = "pruning.sample",
  sampling = "pruning.sampling",
  cluster = "pruning.cluster",
  safetensors = "formats.safetensors",
  npz = "formats.npz:load",
  save_npz = "formats.npz:save",
  sweep = "experiments.sweep",
  forecast = "experiments.forecast",
  mpi = "mpi",
  report = "report",
}

local function load_name(secateur, name)
  local where = names[name]
  if not where then
    local options = require "secateur.util.options"
    require "secateur.util.errors".refuse("secateur", "no such function '%s'%s", tostring(name),
      options.suggest(name, options.sorted_keys(names)))
  end
  local module, key = where:match("^([^:]+):?(.*)$")
  local value = require("secateur." .. module)
  if key ~= "" then value = value[key] end
  rawset(secateur, name, value)
  return value
end

local function describe()
  return "Secateur: interpretability-aware pruning of image classifiers. sc.help() lists what there is, "
    .. 'sc.help "prune" explains one name.'
end

return setmetatable({ _VERSION = "Secateur scm" }, { __index = load_name, __tostring = describe })
