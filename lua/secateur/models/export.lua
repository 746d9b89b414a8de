--- Models for other programs: PyTorch (parameters alone) and whatever reads ONNX (the whole network).
-- @module secateur.models.export
local errors = require "secateur.util.errors"
local file_kind = require "secateur.util.file_kind"
local files = require "secateur.util.files"
local model_file = require "secateur.models.model_file"
local parameter_names = require "secateur.formats.parameter_names"
local onnx = require "secateur.formats.onnx"
local options = require "secateur.util.options"
local safetensors = require "secateur.formats.safetensors"

local export = {}

local state_rules = { names = { one_of = { "torchvision", "timm" }, default = "torchvision" } }

-- The parameters as timm's ViTs call them.
local function in_timm(state)
  local renamed, strange = {}, nil
  for _, name in ipairs(options.sorted_keys(state)) do
    local mapped = parameter_names.timm(name)
    strange = strange or not mapped and name
    if mapped then renamed[mapped] = state[name] end
  end
  if strange then
    errors.refuse("export_state", "names: expected 'torchvision' but for ViTs, which have no parameter '%s'", strange)
  end
  return renamed
end

--- Writes the parameters, running statistics included.
-- @tparam Model model
-- @string path
-- @tab[opt] opts see `Model:export_state`
function export.state(model, path, opts)
  options.value("export_state", "path", path, { type = "string", required = true })
  file_kind.check("export_state", path, "safetensors")
  local checked = options.check("export_state", opts, state_rules)
  local state = model:state()
  if checked.names == "timm" then state = in_timm(state) end
  files.mkdir_p(files.directory(path))
  local ok, problem = errors.try(safetensors.save, path, state, { format = "pt" })
  if not ok then errors.refuse("export_state", problem) end
end

local function is_name(text)
  return text ~= "" and utf8.len(text) ~= nil and not text:find "\0", "a name in UTF-8"
end

local rules = {
  fold = { type = "boolean", default = false },
  probabilities = { type = "boolean" },
  softmax = { type = "boolean" },
  normalise = { type = "boolean", default = false },
  name = { type = "string", check = is_name },
  input_name = { type = "string", default = "input", check = is_name },
  output_name = { type = "string", check = is_name },
  classes = { type = "list" },
}

-- The statistics that images are normalised by, where they fit the model's input.
local function normalisation(model)
  local known, channels = model.info.normalisation, model.input_shape[1]
  if not known then
    errors.refuse("export_onnx", "normalise: expected a model that knows how its images were normalised, as training "
      .. "leaves it in info.normalisation")
  end
  if #model.input_shape ~= 3 or #known.mean ~= channels or #known.std ~= channels then
    errors.refuse("export_onnx", "normalise: expected mean and std of %d channels, got %d and %d", channels,
      #known.mean, #known.std)
  end
  return known
end

local function class_names(model, given)
  for i = 1, given and math.max(#given, model.class_count) or 0 do
    if #given ~= model.class_count or type(given[i]) ~= "string" then
      errors.refuse("export_onnx", "classes: expected a list of %d names, got %s", model.class_count,
        #given ~= model.class_count and ("one of %d"):format(#given) or options.describe(given[i]))
    end
  end
  return given or model.info.classes
end

-- How images come to the model's size and range, as far as that is known; what normalises them stands by itself.
local function image_rules(model)
  local known = {}
  for key, value in pairs(model.info.preparation or {}) do
    if key ~= "mean" and key ~= "std" then known[key] = value end
  end
  return next(known) and known
end

-- What a reader should know besides the graph, in a fixed order.
local function metadata(model, classes, baked)
  local list = {}
  local function add(key, value)
    if value ~= nil then list[#list + 1] = { key, onnx.text(value) } end
  end
  add("architecture", model.info.architecture)
  if model.head == "sigmoid" then add("head", model.head) end
  add("classes", classes)
  if not baked then add("normalisation", model.info.normalisation) end
  add("preparation", image_rules(model))
  return list
end

-- The operator that makes probabilities of the head's logits, where they are wanted. `softmax` is what `probabilities`
-- was called while all heads were.
local function wanted_activation(model, checked)
  if checked.probabilities ~= nil and checked.softmax ~= nil then
    errors.refuse("export_onnx", "softmax: expected none beside probabilities, of which it is the old name")
  end
  if not (checked.probabilities or checked.softmax) then return nil end
  return model.head == "sigmoid" and "Sigmoid" or "Softmax"
end

--- Writes the network as an ONNX model.
-- @tparam Model model
-- @string path
-- @tab[opt] opts see `Model:export_onnx`
function export.onnx(model, path, opts)
  options.value("export_onnx", "path", path, { type = "string", required = true })
  file_kind.check("export_onnx", path, "ONNX")
  local checked = options.check("export_onnx", opts, rules)
  local activation = wanted_activation(model, checked)
  local output_name = checked.output_name or (activation and "probabilities" or "logits")
  if output_name == checked.input_name then
    errors.refuse("export_onnx", "output_name: expected another than the input's, got '%s'", output_name)
  end
  errors.within("export_onnx", model_file.check_info, model.info, model.class_count)
  local baked = checked.normalise and normalisation(model) or nil
  local settings = { name = checked.name or model.info.architecture or "custom", input_name = checked.input_name,
    output_name = output_name, fold = checked.fold, activation = activation, normalisation = baked,
    metadata = metadata(model, class_names(model, checked.classes), baked) }
  files.mkdir_p(files.directory(path))
  errors.within("export_onnx", function()
    onnx.write(model.graph, settings, { input = model.input_shape, output = model.output_shape }, path)
  end)
end

return export
