--- A file's tensors under torchvision's names.
-- @module secateur.pretrained.file_view
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local head_groups = require "secateur.pretrained.head_groups"
local layouts = require "secateur.pretrained.layouts"
local options = require "secateur.util.options"
local parameter_names = require "secateur.formats.parameter_names"

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
  view.groups, view.outside = head_groups.find(view, outside, view.body.prefix), outside
  return view
end

return open_view
