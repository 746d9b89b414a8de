--- A file's tensors under torchvision's names.
-- @module secateur.pretrained.file_view
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local layouts = require "secateur.pretrained.layouts"
local options = require "secateur.util.options"
local parameter_names = require "secateur.formats.parameter_names"
local unsupported = require "secateur.pretrained.unsupported"

-- Where torchvision has the head of each family.
local heads = { resnet = "fc", vgg = "classifier", vit = "heads.head" }
local MOST_LAYERS = 8 -- of a head that stands under several names
local MOST_READ = 1 << 40 -- features of a layer

--- Names, shapes and tensors.
-- @type View
local View = {}
View.__index = View

-- Sorted.
function View:names() return options.sorted_keys(self.called) end

-- The tensors of the file that make one: queries, keys and values, or one alone.
local function parts_of(view, name)
  local called = view.called[name]
  return view.parts[called] or { called }
end

-- As in the file.
function View:info(name)
  local parts = parts_of(self, name)
  local info = self.source:info(parts[1])
  for i = 2, #parts do
    local other = self.source:info(parts[i])
    if other.dtype ~= info.dtype then info.dtype, info.unsupported = other.dtype, other.unsupported end
  end
  info.shape = self.shapes[name]
  return info
end

-- The tensor.
function View:read(name)
  local parts = parts_of(self, name)
  if self.matrices[name] then return self.source:read(parts[1]):reshape(table.unpack(self.shapes[name])) end
  if #parts == 1 then return self.source:read(parts[1]) end
  local whole, row = core.zeros(table.unpack(self.shapes[name])), 1
  for _, part in ipairs(parts) do
    local tensor = self.source:read(part)
    whole:view(row, row + tensor:size(1) - 1):copy(tensor)
    row = row + tensor:size(1)
  end
  return whole
end

-- Of all tensors, as float32.
function View:bytes()
  local bytes = 0.0 -- a float, which no shape overflows
  for _, shape in pairs(self.shapes) do
    local count = 1.0
    for _, size in ipairs(shape) do count = count * size end
    bytes = bytes + 4 * count
  end
  return math.tointeger(math.min(bytes, 2.0 ^ 53))
end

-- Those after "<stem>.", sorted.
function View:below(stem)
  local list = {}
  for _, name in ipairs(self:names()) do
    if name:sub(1, #stem + 1) == stem .. "." then list[#list + 1] = name:sub(#stem + 2) end
  end
  return list
end

-- Calls a tensor something else; raises when another has that name.
function View:rename(from, to)
  if from == to then return end
  if self.called[to] then errors.raise("'%s' and '%s' name the same tensor", self.called[to], self.called[from]) end
  for _, map in ipairs { self.called, self.shapes } do map[to], map[from] = map[from], nil end
end

-- Leaves a tensor out.
function View:drop(name) self.called[name], self.shapes[name] = nil, nil end

-- A convolution that reads a whole map is a linear layer of what it is flattened to.
local function as_matrix(view, own, notes)
  local shape, rest = view.shapes[own], 1
  if #shape ~= 4 then return end
  for d = 2, 4 do
    if shape[d] > 0 and rest > MOST_READ // shape[d] then return end -- which no file holds; its shape tells
    rest = rest * shape[d]
  end
  view.shapes[own], view.matrices[own] = { shape[1], rest }, true
  if shape[3] > 1 then
    local called = view.called[own]:gsub("%.weight$", "")
    notes[#notes + 1] = ("took the convolution '%s' of %d x %d as a linear layer, which it is where maps have that "
      .. "size"):format(called, shape[3], shape[4])
  end
end

-- Gives a tensor of the file a name; raises when another has it.
local function call(view, own, name, shape)
  if view.called[own] then errors.raise("'%s' and '%s' name the same tensor", view.called[own], name) end
  view.called[own], view.shapes[own] = name, shape
end

-- ---- heads ----

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

-- What is no part of the body and could be a head, by group: a list of {stem, names}, sorted.
local function head_groups(view, outside, prefix)
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
    #view.groups > 0 and ("; there could be " .. view:list_groups()) or "")
end

-- For messages.
function View:list_groups()
  local shown = {}
  for i, group in ipairs(self.groups) do shown[i] = ("'%s'"):format(group.stem) end
  return table.concat(shown, ", ")
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

-- Linear layers under several names, and the norms beside them, as the layers of one head.
local function take_chain(view, own, notes)
  local shown = {}
  for i, group in ipairs(view.groups) do shown[i] = ("'%s'"):format(group.stem) end
  local norms = norms_outside(view, view.outside)
  for _, group in ipairs(view.groups) do
    for _, name in ipairs(group.names) do view:rename(name, own .. "." .. (name:match "([^.]+%.[^.]+)$" or name)) end
  end
  for _, name in ipairs(norms) do
    if view.called[name] then view:rename(name, own .. "." .. (name:match "([^.]+%.[^.]+)$" or name)) end
  end
  notes[#notes + 1] = ("took %s as the layers of one head"):format(table.concat(shown, ", "))
end

--- Gives the head the name that torchvision has for it. Raises where several things could be the head.
-- @tparam ?string head the one to take, by what its names begin with
-- @tparam {string,...} notes
function View:take_head(head, notes)
  local body = self.body
  if not body then
    if head then errors.raise("head: expected the weights of a known network, to choose a head of") end
    return
  end
  local group = head and chosen_group(self, head) or self.groups[1]
  if not head and #self.groups > 1 and is_chain(self) then return take_chain(self, heads[body.family], notes) end
  if not head and #self.groups > 1 then
    errors.raise("expected one head, got %d: %s; choose one of them with head", #self.groups, self:list_groups())
  end
  if not group then return end
  if head then drop_others(self, group, notes) end
  local own = heads[body.family]
  for _, name in ipairs(group.names) do
    local rest = name:sub(#group.stem + 2)
    if body.family == "vit" then rest = rest:gsub("^head%.", "") end
    self:rename(name, own .. "." .. rest)
  end
end

-- ---- the view ----

-- Names beside the body keep their own, unless the body has these, as a `bn1` beside a `backbone.bn1`.
local function call_outside(view, bare, name)
  local own = view.called[bare] and "./" .. bare or bare
  call(view, own, name, view.source:info(name).shape)
  return own
end

-- Names the body's tensors; gives the names of the others, and what has to be joined.
local function add_body(view, list, prefix)
  local body, others, split = view.body, {}, {}
  local lead = prefix .. body.prefix
  for _, name in ipairs(list) do
    local rest = name:sub(1, #lead) == lead and name:sub(#lead + 1)
    local own, part = nil, nil
    if rest then own, part = body.map(rest) end
    if part then
      split[own] = split[own] or {}
      split[own][part] = name
    elseif own then
      call(view, own, name, view.source:info(name).shape)
    else
      others[#others + 1] = name
    end
  end
  local outside = {}
  for i, name in ipairs(others) do outside[i] = call_outside(view, name:sub(#prefix + 1), name) end
  return outside, split
end

-- Queries, keys and values as one tensor; where one is missing, what there is keeps its name, and will be unexpected.
local function join_parts(view, split)
  for _, own in ipairs(options.sorted_keys(split)) do
    local parts, rows = split[own], 0
    if parts[1] and parts[2] and parts[3] then
      local shape
      for i = 1, 3 do
        shape = view.source:info(parts[i]).shape
        rows = rows + (shape[1] or 0)
      end
      shape[1] = rows
      view.parts[parts[1]] = parts
      call(view, own, parts[1], shape)
    else
      for _, name in pairs(parts) do call(view, name, name, view.source:info(name).shape) end
    end
  end
end

local function drop_unused(view, outside, prefix, notes)
  local kept = {}
  for _, name in ipairs(outside) do
    local unused = false
    for _, pattern in ipairs(view.body.unused) do
      unused = unused or name:sub(1, #prefix) == prefix and name:sub(#prefix + 1):find(pattern)
    end
    if unused then
      notes[#notes + 1] = ("left out '%s', which no classifier reads"):format(view.called[name])
      view:drop(name)
    else
      kept[#kept + 1] = name
    end
  end
  return kept
end

--- Looks at a source of tensors under torchvision's names; raises when two have the same.
-- @param source what state.open gives
-- @string[opt] prefix only names that start with it count; by default what names.prefix finds comes off
-- @tparam {string,...} notes gets a sentence on what is left out
-- @treturn View with `names`, `info` and `read`, as the source has, `bytes`, `below`, `rename` and `drop`; `called`:
--   torchvision's name -> the source's; `shapes`: torchvision's name -> shape; `body`, what secateur.pretrained.layouts
--   found, or nil; `groups`, what could be a head; `outside`, names that are no part of the body
local function open_view(source, prefix, notes)
  local list = source:names()
  prefix = parameter_names.settle_prefix(list, prefix)
  local view = setmetatable({ source = source, called = {}, shapes = {}, parts = {}, groups = {},
    matrices = {} }, View)
  local behind, bare = {}, {}
  for _, name in ipairs(list) do
    if name:sub(1, #prefix) == prefix then
      behind[#behind + 1], bare[#bare + 1] = name, name:sub(#prefix + 1)
    end
  end
  view.body = layouts.find(bare, prefix)
  if not view.body then
    for i, name in ipairs(behind) do
      call(view, parameter_names.torchvision(bare[i]), name, source:info(name).shape)
    end
    return view
  end
  local outside, split = add_body(view, behind, prefix)
  join_parts(view, split)
  for _, own in ipairs(view:below "classifier") do
    local whole = "classifier." .. own
    if view.body.family == "vgg" and own:find "%.weight$" then as_matrix(view, whole, notes) end
  end
  outside = drop_unused(view, outside, view.body.prefix, notes)
  view.groups, view.outside = head_groups(view, outside, view.body.prefix), outside
  return view
end

return open_view
