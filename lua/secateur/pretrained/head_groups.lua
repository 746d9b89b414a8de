--- Which of the tensors beside a network's body are its head.
-- @module secateur.pretrained.head_groups
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local unsupported = require "secateur.pretrained.unsupported"

local head_groups = {}

-- Where torchvision has the head of each family.
local heads = { resnet = "fc", vgg = "classifier", vit = "heads.head" }
local MOST_LAYERS = 8 -- of a head that stands under several names

-- The first components of a name: those that it shares with the body's prefix, and one more.
local function group_of(name, prefix)
  local at = 0
  for component in prefix:gmatch "[^.]+%." do
    if name:sub(at + 1, at + #component) ~= component then break end
    at = at + #component
  end
  local rest = name:sub(at + 1):match "^([^.]+)%."
  return rest and name:sub(1, at) .. rest
end

-- Whether the tensors under these names could be a classifier's last layers: vectors and matrices, one of them at
-- least.
local function could_be_head(view, names)
  local matrix = false
  for _, name in ipairs(names) do
    local shape = view.shapes[name]
    if #shape > 2 or unsupported.find { name } then return false end
    matrix = matrix or #shape == 2 and name:find "weight$" ~= nil
  end
  return matrix
end

--- What is no part of the body and could be a head, by what its names begin with.
-- @param view of the file
-- @tparam {string,...} outside names in the view that are no part of the body
-- @string prefix of the body
-- @treturn {table,...} {stem, names} each, sorted
function head_groups.find(view, outside, prefix)
  local by_stem, groups = {}, {}
  for _, name in ipairs(outside) do
    local stem = group_of(name, prefix)
    if stem then
      by_stem[stem] = by_stem[stem] or {}
      table.insert(by_stem[stem], name)
    end
  end
  for _, stem in ipairs(options.sorted_keys(by_stem)) do
    if could_be_head(view, by_stem[stem]) then groups[#groups + 1] = { stem = stem, names = by_stem[stem] } end
  end
  return groups
end

-- The groups for messages.
local function listed(view)
  local shown = {}
  for i, group in ipairs(view.groups) do shown[i] = ("'%s'"):format(group.stem) end
  return table.concat(shown, ", ")
end

-- The names that begin with what `head` says, in the file's words or in those behind its wrappers.
local function chosen_group(view, head)
  for _, lead in ipairs { head, (view.body and view.body.prefix or "") .. head } do
    local names = {}
    for _, name in ipairs(view:names()) do
      if name:sub(1, #lead + 1) == lead .. "." then names[#names + 1] = name end
    end
    if #names > 0 then return { stem = lead, names = names } end
  end
  return errors.raise("head: expected 'softmax', 'sigmoid' or what a name in the file begins with, got '%s'%s", head,
    #view.groups > 0 and ("; there could be " .. listed(view)) or "")
end


local function is_one_of(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

-- Leaves out the heads that were not chosen, and says so.
local function drop_others(view, group, notes)
  for _, other in ipairs(view.groups) do
    if other.stem ~= group.stem and other.stem:sub(1, #group.stem + 1) ~= group.stem .. "." then
      for _, name in ipairs(other.names) do
        if view.called[name] and not is_one_of(group.names, name) then view:drop(name) end
      end
      notes[#notes + 1] = ("left out '%s', another head"):format(other.stem)
    end
  end
end

-- The matrix of a group of one linear layer, or nil.
local function only_matrix(view, group)
  local found = nil
  for _, name in ipairs(group.names) do
    if #view.shapes[name] == 2 then
      if found then return nil end
      found = view.shapes[name]
    end
  end
  return found
end

-- Whether the groups are linear layers of which each reads what the one before gives, as fc1 and fc2.
local function is_chain(view)
  local width = nil
  for _, group in ipairs(view.groups) do
    local shape = only_matrix(view, group)
    if not shape or width and shape[2] ~= width then return false end
    width = shape[1]
  end
  return #view.groups <= MOST_LAYERS
end

-- Norms between such layers: vectors alone, with running statistics.
local function norms_outside(view, outside)
  local found = {}
  for _, name in ipairs(outside) do
    local stem = view.called[name] and name:match "^(.+)%.running_mean$"
    if stem then
      for _, slot in ipairs { "weight", "bias", "running_mean", "running_var", "num_batches_tracked" } do
        local each = stem .. "." .. slot
        if view.called[each] then found[#found + 1] = each end
      end
    end
  end
  return found
end

-- What a layer is called in a head: the last two components of its tensor's name.
local function in_head(own, name) return own .. "." .. (name:match "([^./]+%.[^.]+)$" or name) end

-- Linear layers under several names, and the norms beside them, as the layers of one head.
local function take_chain(view, own, notes)
  local shown = listed(view)
  local norms = norms_outside(view, view.outside)
  for _, group in ipairs(view.groups) do
    for _, name in ipairs(group.names) do view:rename(name, in_head(own, name)) end
  end
  for _, name in ipairs(norms) do
    if view.called[name] then view:rename(name, in_head(own, name)) end
  end
  notes[#notes + 1] = ("took %s as the layers of one head"):format(shown)
end

--- Gives the head the name that torchvision has for it. Raises where several things could be the head.
-- @param view of the file; changed
-- @tparam ?string head the one to take, by what its names begin with
-- @tparam {string,...} notes
function head_groups.take(view, head, notes)
  local body = view.body
  if not body then
    if head then errors.raise("head: expected the weights of a known network, to choose a head of") end
    return
  end
  local group = head and chosen_group(view, head) or view.groups[1]
  if not head and #view.groups > 1 and is_chain(view) then return take_chain(view, heads[body.family], notes) end
  if not head and #view.groups > 1 then
    errors.raise("expected one head, got %d: %s; choose one of them with head", #view.groups, listed(view))
  end
  if not group then return end
  if head then drop_others(view, group, notes) end
  local own = heads[body.family]
  for _, name in ipairs(group.names) do
    local rest = name:sub(#group.stem + 2)
    if body.family == "vit" then rest = rest:gsub("^head%.", "") end
    view:rename(name, own .. "." .. rest)
  end
end

return head_groups
