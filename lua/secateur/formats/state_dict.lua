--- Which of the dictionaries in a checkpoint are the weights: training scripts wrap them, beside an epoch, an
-- optimiser, an average of the weights.
-- @module secateur.formats.state_dict
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local pickle = require "secateur.formats.pickle"

local state_dict = {}

local DEEPEST = 3 -- wrappers in one another
local SHOWN = 6 -- names that a message lists

-- Names that wrappers are known by.
local usual = {}
for _, name in ipairs { "state_dict", "model", "model_state_dict", "model_state", "model_weights", "net", "network",
  "net_state_dict", "module", "params", "weights" } do
  usual[name] = true
end

local function is(value, kind) return type(value) == "table" and value.kind == kind end

-- Averages of weights over the training's steps.
local function is_average(name) return name:lower():find("ema") ~= nil or name:lower():find("swa") ~= nil end

-- Text key → value, of the last where there are several.
local function fields(dict)
  local map = {}
  for i = 1, dict.n do
    if type(dict.keys[i]) == "string" then map[dict.keys[i]] = dict.values[i] end
  end
  return map
end

-- Whether a tensor is directly in the map; in a wrapper, single numbers (an epoch, an accuracy) may be.
local function has_tensors(map, of_one_number)
  for _, value in pairs(map) do
    if is(value, "tensor") then
      local single = true
      for _, size in ipairs(value.shape) do single = single and size == 1 end
      if of_one_number or not single then return true end
    end
  end
  return false
end

local choose

-- The one map that is meant among the dictionaries in a map, or nil where none holds tensors.
local function choose_inside(map, depth, done, only_usual)
  local found, names, plain = {}, {}, {}
  for _, name in ipairs(options.sorted_keys(map)) do
    local inner = is(map[name], "dict") and (usual[name] or not only_usual) and choose(map[name], depth + 1, done)
    if inner and not found[inner] then
      found[inner] = true
      names[#names + 1] = name
      if not is_average(name) then plain[#plain + 1] = name end
    end
  end
  if #names == 0 then return nil end
  if #names > 1 and #plain ~= 1 then
    errors.raise("it holds several dictionaries of tensors, '%s'; choose one of them with key",
      table.concat(names, "', '"))
  end
  return done[map[plain[1] or names[1]]]
end

-- The map of tensors that a dictionary is or wraps, or nil. Dictionaries may contain themselves: `done` holds what was
-- found in each, false while it is being looked at.
function choose(dict, depth, done)
  if done[dict] ~= nil then return done[dict] or nil end
  done[dict] = false
  local map = fields(dict)
  local found = depth < DEEPEST and choose_inside(map, depth, done, true) or has_tensors(map, false) and map
    or depth == 0 and choose_inside(map, depth, done, false) or has_tensors(map, true) and map
  done[dict] = found
  return found or nil
end

local function describe(value) return is(value, "record") and value.name or pickle.describe(value) end

-- What there is instead of tensors, for a message.
local function instead(map)
  local names, shown, deeper = options.sorted_keys(map), {}, nil
  for i, name in ipairs(names) do
    if i <= SHOWN then shown[i] = ("'%s' (%s)"):format(name, describe(map[name])) end
    deeper = deeper or is(map[name], "dict") and name
  end
  if #names == 0 then return "" end
  return ", but " .. table.concat(shown, ", ") .. (#names > SHOWN and (", and %d more"):format(#names - SHOWN) or "")
    .. (deeper and ("; key = '%s', or dots as in '%s.x', would look further in"):format(deeper, deeper) or "")
end

-- Names of tensors in a map, without what DataParallel puts before them: name → tensor, and how many.
local function tensors_in(map)
  local found, count = {}, 0
  for name, value in pairs(map) do
    if is(value, "tensor") then
      found[name:gsub("^module%.", "")] = value
      count = count + 1
    end
  end
  return found, count
end

-- How the names in two maps go together: nil where they do not mostly, else whether the tensors are the same.
local function compare(ours, count, map)
  local theirs, others = tensors_in(map)
  local shared, same = 0, 0
  for name, value in pairs(theirs) do
    if ours[name] then shared = shared + 1 end
    if ours[name] == value then same = same + 1 end
  end
  if 2 * shared <= math.max(count, others) then return nil end
  return same == count and same == others
end

-- Dictionaries of the same names as those that were taken, as an average of the weights (EMA): paths, and the path of
-- those that were taken.
local function find_copies(root, taken)
  local ours, count = tensors_in(taken)
  local copies, own, seen = {}, nil, { [root] = true }
  local function look(dict, path, depth)
    local map = fields(dict)
    for _, name in ipairs(options.sorted_keys(map)) do
      local inner = map[name]
      if is(inner, "dict") and not seen[inner] then
        seen[inner] = true
        local same = compare(ours, count, fields(inner))
        if same then own = path .. name elseif same == false then copies[#copies + 1] = path .. name end
        if depth < DEEPEST then look(inner, path .. name .. ".", depth + 1) end
      end
    end
  end
  look(root, "", 1)
  return copies, own
end

--- The weights in what a checkpoint holds.
-- @param root a value of formats/pickle.lua
-- @string[opt] key the dictionary to take; dots lead into dictionaries in one another
-- @treturn table name → tensor (as formats/torch_globals.lua describes it); what is no tensor is left out
-- @treturn {string,...} a sentence on each dictionary of the same names that was left, as an average of the weights
function state_dict.find(root, key)
  for part in (key or ""):gmatch("[^.]+") do
    local inner = is(root, "dict") and pickle.get(root, part)
    if not is(inner, "dict") then
      local there = is(root, "dict") and table.concat(options.sorted_keys(fields(root)), "', '") or ""
      errors.raise("key: expected a dictionary in the file, got '%s'%s", key,
        there ~= "" and (", where there are '%s'"):format(there) or "")
    end
    root = inner
  end
  if not is(root, "dict") then
    errors.raise("expected a dictionary of tensors (a state_dict), got %s", pickle.describe(root))
  end
  local tensors, notes = {}, {}
  local taken = choose(root, 0, {}) or errors.raise("it holds no tensors under names" .. instead(fields(root)))
  for name, value in pairs(taken) do
    if is(value, "tensor") then tensors[name] = value end
  end
  local copies, own = find_copies(root, taken)
  for i, copy in ipairs(copies) do
    notes[i] = ("took the weights%s and left those in '%s' (key = '%s')"):format(own and (" in '%s'"):format(own) or "",
      copy, (key and key ~= "" and key .. "." or "") .. copy)
  end
  return tensors, notes
end

return state_dict
