--- Models from files of weights alone.
-- @module secateur.pretrained.load_checkpoint
local adapt = require "secateur.pretrained.adapt"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local families = require "secateur.models.families"
local load = require "secateur.models.load"
local model = require "secateur.models.model"
local parameter_names = require "secateur.formats.parameter_names"
local options = require "secateur.util.options"
local infer_architecture = require "secateur.pretrained.infer_architecture"
local load_state = require "secateur.models.load_state"
local file_view = require "secateur.pretrained.file_view"

-- A graph may ask for twice what its file holds, so that something may be missing from it and be named, and some bytes
-- more; a new head reads so many features.
local SLACK, MOST_FEATURES = 16 << 20, 1 << 16

local rules = {
  classes = { type = "integer", min = 1 },
  size = { type = "integer", min = 1 },
  channels = { type = "integer", min = 1 },
  heads = { type = "integer", min = 1 },
  architecture = { type = "string" },
  key = { type = "string" },
  prefix = { type = "string" },
  seed = { type = "integer", default = 0 },
  quiet = { type = "boolean", default = false },
}

-- Sees to it that the view has the head's weight, or nothing of a head and `found.new` is set: people put Sequentials
-- there, and one linear layer in it, beside dropout, is a head like any other.
local function settle_head(view, found, classes)
  local head, list = found.head, view:below(found.head)
  local plain = view.shapes[head .. ".weight"]
  if plain and #plain ~= 2 then
    errors.raise("'%s.weight': expected 2 dimensions, got [%s]", head, table.concat(plain, "x"))
  elseif plain then
    return
  end
  local layer = list[1] and list[#list]:match("^(.*)%.weight$")
  local bias = #list == 2 and list[1] == (layer or "") .. ".bias"
  local shape = layer and view.shapes[head .. "." .. layer .. ".weight"]
  if bias and #shape == 2 then
    local called = view.called[("%s.%s.weight"):format(head, layer)]:gsub("%.weight$", "")
    for _, slot in ipairs { "weight", "bias" } do
      view:rename(("%s.%s.%s"):format(head, layer, slot), head .. "." .. slot)
    end
    found.opts.classes = shape[1]
    found.notes[#found.notes + 1] = ("took the only layer of the head, '%s', as the head"):format(called)
    return
  end
  if not classes then
    errors.raise(#list == 0 and ("expected a head '%s', which is not there; classes = n puts a new one"):format(head)
      or ("expected one linear layer as head '%s', got '%s.%s'; classes = n puts a new one in its place"):format(head,
        head, table.concat(list, ("', '%s."):format(head))))
  end
  for _, name in ipairs(list) do view.called[head .. "." .. name] = nil end
  found.opts.classes, found.new = classes, true
  found.notes[#found.notes + 1] = (#list == 0 and "put a new head '%s' of %d classes where there was none"
    or "replaced the layers of the head '%s' by a new one of %d classes"):format(head, classes)
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

-- The model with the file's classes, channels and, where it tells, size.
local function build(source, given, where)
  local view = file_view(source, given.prefix)
  local ok, found = errors.try(infer_architecture.model, view.shapes, view.called, given.heads)
  if not ok then
    errors.raise(found .. (given.prefix and "" or parameter_names.hint(source:names())))
  end
  check_heads(found, given.heads)
  as_named(found, given.architecture)
  settle_head(view, found, given.classes)
  local opts = found.opts
  opts.size = opts.size or given.size or 224
  local name = families.name(found.family, opts)
  opts.room = 2 * view:bytes() + SLACK + (found.new and 4 * given.classes * MOST_FEATURES or 0)
  local graph = found.family.graph(opts)
  local exclude = found.new and { "^" .. found.head:gsub("%p", "%%%0") .. "%." } or nil
  local fits, message = errors.try(load_state.load, graph, view, { prefix = "", exclude = exclude })
  if not fits then
    local of_file = message:sub(1, #where) == where -- which cannot be read
    errors.raise(of_file and message or ("taken for a %s: %s"):format(name, message))
  end
  if found.new then adapt.draw(graph, found.head, name, given.seed) end
  return model.new(graph, { architecture = name }), found.notes
end

-- A file of model:save has all that is needed.
local function load_own(path, given)
  for _, key in ipairs { "architecture", "heads", "key", "prefix" } do
    if given[key] then errors.raise(key .. ": expected none, the file says itself what its model is") end
  end
  local ok, loaded = errors.try(load, path)
  if not ok then errors.raise(loaded) end
  return loaded, {}
end

local function read(path, given, where)
  local own
  do
    local source <close> = load_state.open(path, given.key)
    own = source.metadata and source.metadata.format == "secateur"
    if not own then return build(source, given, where) end
  end
  return load_own(path, given)
end

--- Reads weights that PyTorch, torchvision or timm (or `model:save`) has written and builds the model that they are of.
-- The architecture is inferred from names and shapes: VGG, ResNet and ViT as torchvision has them, of any size, and ViT
-- under timm's names. Whatever else is an error that says what was found.
--
-- `classes` puts a new head where the file's has another number of classes, drawn as in a new model (a ViT's is zero,
-- as in Dosovitskiy et al. 2021). `size`: a ViT's position embedding is interpolated bicubically, as timm does; other
-- models take images of any size (224 by default). `channels = 1`: the first convolution is summed over its input
-- channels. All such changes are reported on stderr.
-- @string path a safetensors file, or one of torch.save
-- @tparam[opt] table opts `classes`, `size`, `channels`, `heads` (attention heads of a ViT, which a file does not
--   tell), `architecture` (one of sc.models' names), `prefix` (only names that start with it count), `key` (the
--   dictionary in a PyTorch file to take, as "model_ema"), `seed` (0; of a new head), `quiet` (false)
-- @treturn Model
-- @treturn {string,...} what was changed or assumed
-- @usage
-- local model = sc.load_checkpoint("resnet50.pth", { classes = 4 })
return function(path, opts)
  options.value("load_checkpoint", "path", path, { type = "string", required = true })
  local given = options.check("load_checkpoint", opts, rules)
  local where = ("'%s': "):format(path)
  local result = errors.within("load_checkpoint", function()
    local ok, loaded, notes = errors.try(function()
      local loaded, notes = read(path, given, where)
      return adapt.model(loaded, given, given.seed, notes), notes
    end)
    if ok then return { loaded, notes } end
    errors.raise("'%s': %s", path, files.without_path(loaded, path))
  end)
  if not given.quiet then
    for _, note in ipairs(result[2]) do io.stderr:write(("load_checkpoint: '%s': %s\n"):format(path, note)) end
  end
  return result[1], result[2]
end
