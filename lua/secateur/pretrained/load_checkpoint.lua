--- Models from files of weights alone.
-- @module secateur.pretrained.load_checkpoint
local adapt = require "secateur.pretrained.adapt"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local families = require "secateur.models.families"
local load = require "secateur.models.load"
local model = require "secateur.models.model"
local model_file = require "secateur.models.model_file"
local parameter_names = require "secateur.formats.parameter_names"
local options = require "secateur.util.options"
local path_options = require "secateur.util.path_options"
local head_groups = require "secateur.pretrained.head_groups"
local infer_architecture = require "secateur.pretrained.infer_architecture"
local load_state = require "secateur.models.load_state"
local file_view = require "secateur.pretrained.file_view"
local checkpoint_preparation = require "secateur.pretrained.checkpoint_preparation"
local settle_head = require "secateur.pretrained.settle_head"
local tensors = require "secateur.util.tensors"
local unsupported = require "secateur.pretrained.unsupported"

-- A graph may ask for twice what its file holds, so that something may be missing from it and be named, and some bytes
-- more; a new head reads so many features.
local SLACK, MOST_FEATURES = 16 << 20, 1 << 16

local activations = { "relu", "gelu", "silu", "tanh", "sigmoid", "none" }

local function is_activation(value)
  for _, kind in pairs(type(value) == "table" and value or { value }) do
    local known = false
    for _, name in ipairs(activations) do known = known or kind == name end
    if not known then
      return false, ("one of %s, or a table of names in the file -> one of these"):format(
        options.describe_all(activations))
    end
  end
  return true
end

local rules = {
  classes = { type = { "integer", "list" }, min = 1 },
  size = { type = "integer", min = 1 },
  channels = { type = "integer", min = 1 },
  heads = { type = "integer", min = 1 },
  architecture = { type = "string" },
  key = { type = "string" },
  prefix = { type = "string" },
  head = { type = { "string", "list" } },
  head_activation = { type = { "string", "table" }, check = is_activation },
  head_dropout = { type = "number", min = 0, below = 1 },
  pool = { one_of = { "avg", "max", "max_avg", "avg_max" } },
  stem_stride = { type = "integer", min = 1 },
  stem_pool = { type = "boolean" },
  eps = { type = "number", min = 0, max = 1 },
  gelu = { one_of = { "none", "tanh" } },
  mean = { type = { "number", "list" } },
  std = { type = { "number", "list" } },
  resize = { type = { "integer", "string" } },
  crop = { type = "integer", min = 1 },
  interpolation = { type = "string" },
  range = { type = { "string", "list" } },
  window = { type = { "string", "list" } },
  seed = { type = "integer", default = 0 },
  quiet = { type = "boolean", default = false },
}

-- How those are read that a user may type behind the path as names.
local typed = { classes = "counted", head = "names" }

-- Options of what a file does not tell, which a file of model:save tells itself.
local untold = { "architecture", "heads", "key", "prefix", "pool", "stem_stride", "stem_pool", "eps", "gelu",
  "head_activation", "head_dropout" }

-- Takes apart what may be given in several ways: `classes` as names, `head` as its kind, as its name, or as both.
local function check_options(opts)
  local given = options.check("load_checkpoint", opts, rules)
  if type(given.classes) == "table" then
    given.names, given.classes = given.classes, #given.classes
    for i, name in ipairs(given.names) do
      if type(name) ~= "string" or name == "" then
        errors.refuse("load_checkpoint", "classes: expected names, got %s at %d", options.describe(name), i)
      end
    end
    if given.classes == 0 then errors.refuse("load_checkpoint", "classes: expected a number or names, got none") end
  end
  for _, word in ipairs(type(given.head) == "table" and given.head or { given.head }) do
    local kind = word == "softmax" or word == "sigmoid"
    if type(word) ~= "string" or kind and given.kind or not kind and given.head_name then
      errors.refuse("load_checkpoint", "head: expected 'softmax' or 'sigmoid', what the head's names in the file begin "
        .. "with, or a list of both")
    end
    if kind then given.kind = word else given.head_name = word end
  end
  if given.crop and given.size and given.crop ~= given.size then
    errors.refuse("load_checkpoint", "crop: expected the size %d, which a crop gives, got %d", given.size, given.crop)
  end
  return given
end

local function as_named(found, architecture)
  if not architecture then return end
  local family = families.of(architecture)
  if not family or not family.configs[architecture] then
    errors.raise("architecture: expected a named one of sc.models, got '%s'", architecture)
  elseif family ~= found.family then
    errors.raise("architecture: expected a %s, which the names are of, got '%s'", found.family.name, architecture)
  end
  for key, value in pairs(family.configs[architecture]) do found.opts[key] = value end
end

local function check_heads(found, heads)
  if heads and found.opts.heads == nil then
    errors.raise("heads: expected none, the weights are of a %s, which has no attention", found.family.name)
  end
end

-- What names tell of options, and what those who use such names do, where the user says nothing.
local function with_layout(given, body)
  local all = {}
  for _, from in ipairs { body and body.defaults or {}, body and body.told or {}, given } do
    for key, value in pairs(from) do all[key] = value end
  end
  return all
end

-- What a file of no known names might be, or why a known network was not understood.
local function hint(source, given, body)
  if given.prefix then return "" end
  if body and body.prefix ~= "" then
    return ("; prefix = '%s' would look at names that begin so alone"):format(body.whole_prefix)
  end
  return parameter_names.hint(source:names())
end

local function infer(source, view, given)
  local ok, found = errors.try(infer_architecture.model, view.shapes, view.called, given)
  if not ok then
    local settled = found:find ": give [%l_]+ = n$" -- by another option than prefix
    errors.raise("%s%s", found, settled and "" or hint(source, given, view.body))
  end
  check_heads(found, given.heads)
  for _, key in ipairs { "stem_stride", "stem_pool" } do
    if given[key] ~= nil and found.family.name ~= "resnet" then
      errors.raise("%s: expected none, the weights are of a %s", key, found.family.name)
    end
  end
  if given.gelu and found.family.name ~= "vit" then
    errors.raise("gelu: expected none, the weights are of a %s", found.family.name)
  end
  return found
end

-- What was taken for granted where names are not torchvision's.
local function note_assumed(found, view, given, user)
  local body = view.body
  if body and body.prefix ~= "" and not user.prefix then
    table.insert(found.notes, 1, ("took the network behind '%s'"):format(body.prefix))
  end
  if given.eps and not user.eps then
    found.notes[#found.notes + 1] = ("took the epsilon of norms as %g, as %s has it (eps)"):format(given.eps, body.from)
  end
end

-- Weights of a training that diverged, or too large for the half precision they were saved in.
local function note_not_finite(graph, view, notes)
  local bad = {}
  for _, parameter in ipairs(graph:parameters()) do
    local name, tensor = parameter.name, graph:parameter(parameter.name)
    local real = tensor:dtype() == "float32" -- no counter of batches
    if view.called[name] and real and not tensors.finite(tensor) then bad[#bad + 1] = view.called[name] end
  end
  if #bad > 0 then
    notes[#notes + 1] = ("NaN or infinity in '%s'%s: what it computes will be, too"):format(bad[1],
      #bad > 1 and (" and %d more"):format(#bad - 1) or "")
  end
end

-- The model with the file's classes, channels and, where it tells, size.
local function build(source, user, where)
  local notes = {}
  local view = file_view(source, user.prefix, notes)
  local given = with_layout(user, view.body)
  if view.body then
    local what = unsupported.find(view:names())
    if not what then head_groups.take(view, given.head_name, notes) end
  end
  local found = infer(source, view, given)
  table.move(found.notes, 1, #found.notes, #notes + 1, notes)
  found.notes = notes
  note_assumed(found, view, given, user)
  as_named(found, given.architecture)
  local outputs, kind = settle_head.of_file(view, found, given)
  local opts = found.opts
  opts.eps, opts.gelu = given.eps, given.gelu
  opts.size = opts.size or given.size or given.crop or 224
  local name = families.name(found.family, opts)
  opts.room = 2 * view:bytes() + SLACK + (found.new and 4 * outputs * MOST_FEATURES or 0)
  local graph = found.family.graph(opts)
  local exclude = found.new and { "^" .. found.head:gsub("%p", "%%%0") .. "%." } or nil
  local fits, message = errors.try(load_state.load, graph, view, { prefix = "", exclude = exclude, notes = notes })
  if not fits then
    -- The file cannot be read, or memory is short: nothing that another architecture would change.
    local of_machine = message:sub(1, #where) == where or message:find "^memory: "
    errors.raise("%s", of_machine and message or ("taken for a %s: %s%s"):format(name, message,
      hint(source, user, view.body)))
  end
  note_not_finite(graph, view, notes)
  if found.new then adapt.draw(graph, found.head, name, given.seed) end
  local loaded = model.new(graph, { architecture = name })
  return loaded, notes, outputs, kind, view.body
end

-- A file of model:save has all that is needed.
local function load_own(path, given)
  for _, key in ipairs(untold) do
    if given[key] ~= nil then errors.raise(key .. ": expected none, the file says itself what its model is") end
  end
  if given.head_name then
    errors.raise("head: expected 'softmax' or 'sigmoid', the file says itself what its model is, got '%s'",
      given.head_name)
  end
  local ok, loaded = errors.try(load, path)
  if not ok then errors.raise(loaded) end
  local own_kind = loaded.output_count == 1 and loaded.head == "softmax" and "softmax" or given.kind
  local count, kind = given.classes, given.kind
  if own_kind ~= "softmax" then count, kind = settle_head.outputs(given, loaded.output_count) end
  return loaded, {}, count, kind
end

local function read(path, given, where)
  local own
  do
    local source <close> = load_state.open(path, given.key)
    own = source.metadata and source.metadata.format == "secateur"
    if not own then
      local loaded, notes, count, kind, body = build(source, given, where)
      for _, note in ipairs(source.notes or {}) do table.insert(notes, 1, note) end
      return loaded, notes, count, kind, body
    end
  end
  return load_own(path, given)
end

-- The model as it is wanted, with what is known of it.
local function load_and_adapt(path, given, where)
  local loaded, notes, count, kind, body = read(path, given, where)
  local binary = loaded.head == "sigmoid" and loaded.output_count == 1
  local wanted = { classes = count, size = given.size or given.crop, channels = given.channels }
  local result = adapt.model(loaded, wanted, given.seed, notes)
  if kind then
    result.info.head = kind == "sigmoid" and kind or nil
  elseif binary and result.output_count > 1 then
    result.info.head = nil
  end
  if given.names then
    if #given.names ~= result.class_count then
      errors.raise("classes: expected %d names, got %d", result.class_count, #given.names)
    end
    result.info.classes = given.names
  end
  checkpoint_preparation.settle(result, given, body, notes)
  model_file.check_info(result.info, result.class_count)
  return result, notes
end

--- Reads weights that PyTorch, torchvision, timm, Hugging Face or `model:save` has written and builds the model that
-- they are of. The architecture is inferred from names and shapes: VGG, ResNet and ViT as torchvision has them, of any
-- size; VGG and ViT under timm's names; ResNet and ViT under Hugging Face's; ResNets of small images (a 3 x 3 stem,
-- `shortcut`, `linear`); ResNets whose children stand in an nn.Sequential (`0`, `1`, `4` to `7`: RadImageNet, fastai).
-- They may stand behind a prefix, with a head beside them. Heads may have several layers: linear, BatchNorm1d,
-- LayerNorm, and between the linear ones an activation. Whatever else is an error that says what was found.
--
-- `classes` puts a new head where the file's has another number of classes, drawn as in a new model (a ViT's is zero,
-- as in Dosovitskiy et al. 2021); names are kept in `info.classes`. A head of one logit is a sigmoid, that of the
-- second of two classes. `size`: a ViT's position embedding is interpolated bicubically, as timm does; other models
-- take images of any size (224 by default, 32 with a small stem). `channels = 1`: the first convolution is summed over
-- its input channels.
--
-- A file tells nothing of layers without parameters, of epsilons, strides and pools, nor of how images were prepared.
-- What is taken for granted, changed or left out is reported on stderr, with the option that says otherwise. Options
-- may stand behind the path, as a user types them, and count before `opts`: "vit.pth?heads=3&mean=0.5&std=0.5".
-- @string path a safetensors file, or one of torch.save
-- @tparam[opt] table opts `classes` (a number, or a list of names), `size`, `channels`, `heads` (attention heads of a
--   ViT, which a file does not tell), `architecture` (one of sc.models' names), `prefix` (only names that start with it
--   count), `key` (the dictionary in a PyTorch file to take, as "model_ema"), `seed` (0; of a new head), `quiet`
--   (false); `head` ("softmax", or "sigmoid" for several findings; or what the head's names in the file begin with, to
--   choose among several; or a list of both), `head_activation` ("relu"; "gelu", "silu", "tanh", "sigmoid" or "none"
--   between the linear layers of a head, or a table of names in the file -> one of these, as `{ ["fc.2"] = "tanh" }`),
--   `head_dropout` (0; behind each of these), `pool` ("avg", "max", "max_avg" or "avg_max": of the last maps),
--   `stem_stride`, `stem_pool` (of a ResNet with a small stem; 1 and false by default), `eps` (of all norms; by default
--   1e-5 of batch norms, 1e-6 of ViTs, 1e-12 under Hugging Face's names), `gelu` ("none", or "tanh" for its
--   approximation); `mean`, `std` (numbers, or lists per channel), `resize`, `crop`, `interpolation`, `range`,
--   `window`: how the images were prepared that the weights were trained on, as in `sc.data`, kept in
--   `info.preparation`
-- @treturn Model
-- @treturn {string,...} what was changed or assumed
-- @usage
-- local model = sc.load_checkpoint("resnet50.pth", { classes = 4 })
return function(path, opts)
  options.value("load_checkpoint", "path", path, { type = "string", required = true })
  local plain, behind = errors.within("load_checkpoint", path_options.take, path, typed)
  path = plain
  local given = check_options(path_options.merge(behind, opts))
  local where = ("'%s': "):format(path)
  local result = errors.within("load_checkpoint", function()
    local ok, loaded, notes = errors.try(load_and_adapt, path, given, where)
    if ok then return { loaded, notes } end
    errors.raise("'%s': %s", path, files.without_path(loaded, path))
  end)
  if not given.quiet then
    for _, note in ipairs(result[2]) do errors.warn("load_checkpoint: '%s': %s", path, note) end
  end
  return result[1], result[2]
end
