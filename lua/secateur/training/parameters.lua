--- Which parameters of a model are trained, and how: freezing and groups.
-- @module secateur.training.parameters
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local parameters = {}

-- Names of the trainable parameters, and the set of those that have one dimension: biases, scales and shifts.
local function trainable(model)
  local names, vectors = {}, {}
  for _, parameter in ipairs(model.graph:parameters()) do
    if parameter.trainable then
      names[#names + 1] = parameter.name
      vectors[parameter.name] = #parameter.shape == 1
    end
  end
  return names, vectors
end

-- The set of names that a pattern or a function picks; raises when it picks none.
local function pick(names, wanted, argument)
  local found = {}
  for _, name in ipairs(names) do
    local ok, hit = pcall(type(wanted) == "function" and wanted or string.find, name, wanted)
    if not ok and type(wanted) == "function" then errors.rethrow(hit) end
    if not ok then
      errors.refuse("train", "%s: expected a Lua pattern, got %s: %s", argument, options.describe(wanted), hit)
    end
    if hit then found[name] = true end
  end
  if next(found) == nil then
    local expected = type(wanted) == "function" and "a function that is true for a parameter to train, got one that is "
      .. "for none" or "a pattern that fits a parameter to train, got " .. options.describe(wanted)
    errors.refuse("train", "%s: expected %s; known parameters: %s, ...", argument, expected, options.describe(names[1]))
  end
  return found
end

-- The same for a list of these.
local function pick_all(names, wanted, argument)
  if type(wanted) ~= "table" then return (pick(names, wanted, argument)) end
  local found = {}
  if #wanted == 0 then errors.refuse("train", "%s: expected at least one pattern, got an empty list", argument) end
  for i, each in ipairs(wanted) do
    if type(each) ~= "string" and type(each) ~= "function" then
      errors.refuse("train", "%s: %d: expected a pattern or a function, got %s", argument, i, options.describe(each))
    end
    for name in pairs(pick(names, each, argument)) do found[name] = true end
  end
  return found
end

--- Which parameters stay as they are.
-- @tparam Model model
-- @param freeze nil, or a Lua pattern for parameter names, a function(name) -> boolean, or a list of these
-- @treturn table set of trainable parameters that are frozen
-- @treturn {string,...} the same, sorted, and what never changes beside them: the running statistics of batch norms
-- whose scale is frozen
function parameters.frozen(model, freeze)
  local names = trainable(model)
  if #names == 0 then errors.refuse("train", "model: expected parameters to train, found none") end
  local set = freeze and pick_all(names, freeze, "freeze") or {}
  local all = true
  for _, name in ipairs(names) do all = all and set[name] end
  if all then errors.refuse("train", "freeze: expected something left to train, got all %d parameters", #names) end
  local fixed = {}
  for name in pairs(set) do fixed[name] = true end
  for _, node in ipairs(model.graph:nodes()) do
    if node.op == "batch_norm2d" and set[node.params[1].name] then
      for slot = 3, 5 do fixed[node.params[slot].name] = true end
    end
  end
  return set, options.sorted_keys(fixed)
end

--- Whether a batch norm takes its statistics from batches: one whose scale is trained.
-- @tparam Model model
-- @tab frozen set of names
-- @treturn boolean
function parameters.has_batch_norm(model, frozen)
  for _, node in ipairs(model.graph:nodes()) do
    if node.op == "batch_norm2d" and not frozen[node.params[1].name] then return true end
  end
  return false
end

local group_rules = {
  match = { type = { "string", "function", "table" }, required = true },
  lr = { type = "number", min = 0, below = math.huge },
  lr_scale = { type = "number", min = 0, below = math.huge },
  weight_decay = { type = "number", min = 0, below = math.huge },
}

-- A group checked: which of the names it means, and its settings.
local function read_group(names, i, given, lr)
  local name = ("train: groups: %d"):format(i)
  local group = options.check(name, given, group_rules)
  if group.lr and group.lr_scale then errors.refuse(name, "lr_scale: expected none beside lr") end
  return { names = pick_all(names, group.match, ("groups: %d: match"):format(i)),
    lr_scale = group.lr and group.lr / lr or group.lr_scale or 1, weight_decay = group.weight_decay }
end

-- The first group that has the parameter, or nil.
local function first_with(groups, name)
  for _, group in ipairs(groups) do
    if group.names[name] then return group end
  end
  return nil
end

--- The settings of each parameter that is trained.
-- @tparam Model model
-- @tab frozen set of names
-- @tab opts `groups` (list; may be nil), `lr`, `weight_decay`, `decay_norms`
-- @treturn table name -> {lr_scale=, weight_decay=}
-- @treturn {number,...} lr_scale of each group
function parameters.settings(model, frozen, opts)
  local all, vectors = trainable(model)
  local names, groups, scales, settings = {}, {}, {}, {}
  for _, name in ipairs(all) do
    if not frozen[name] then names[#names + 1] = name end
  end
  for i, given in ipairs(opts.groups or {}) do
    groups[i] = read_group(names, i, given, opts.lr)
    scales[i] = groups[i].lr_scale
  end
  for _, name in ipairs(names) do
    local own = first_with(groups, name) or { lr_scale = 1 }
    own.used = true
    settings[name] = { lr_scale = own.lr_scale,
      weight_decay = own.weight_decay or (vectors[name] and not opts.decay_norms and 0) or opts.weight_decay }
  end
  for i, group in ipairs(groups) do
    if not group.used then
      errors.refuse("train", "groups: %d: match: expected a parameter that no earlier group has", i)
    end
  end
  return settings, scales
end

return parameters
