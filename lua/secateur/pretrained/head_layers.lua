--- Heads of several layers: which they are, from names and shapes.
--
-- Layers without parameters leave no trace but a gap between the indices of an nn.Sequential. Between two linear
-- layers there is taken to be one activation, in the first gap behind the first of them (fastai has it before the norm,
-- most others behind), and nothing where there is no gap.
-- @module secateur.pretrained.head_layers
local errors = require "secateur.util.errors"

local head_layers = {}

local WIDEST_GAP = 64 -- between the indices of two layers; no Sequential of a head has more without parameters

-- The layers below a stem, each {path, kind, size, shape, bias}; or nil and what is not understood.
local function collect(view, stem)
  local by_path, list = {}, {}
  for _, name in ipairs(view:below(stem)) do
    local path, slot = name:match "^(.+)%.([^.]+)$"
    if not path then return nil, name end
    if not by_path[path] then
      by_path[path] = { path = path, slots = {} }
      list[#list + 1] = by_path[path]
    end
    by_path[path].slots[slot] = view.shapes[stem .. "." .. name]
  end
  for _, layer in ipairs(list) do
    local weight = layer.slots.weight
    if not weight or #weight == 0 or #weight > 2 then return nil, layer.path end
    layer.kind = #weight == 2 and "linear" or layer.slots.running_mean and "batch_norm2d" or "layer_norm"
    layer.out, layer.reads, layer.bias = weight[1], weight[#weight], layer.slots.bias ~= nil
    if layer.kind ~= "linear" and not layer.bias then return nil, layer.path end
  end
  return list
end

-- Paths by their components, numbers by value.
local function before(a, b)
  local next_a, next_b = a.path:gmatch "[^.]+", b.path:gmatch "[^.]+"
  while true do
    local x, y = next_a(), next_b()
    if not x or not y then return x == nil and y ~= nil end
    if x ~= y then
      local m, n = tonumber(x:match "%d+$") or -1, tonumber(y:match "%d+$") or -1
      if m ~= n then return m < n end
      return x < y
    end
  end
end

-- Whether each layer reads what the one before gives.
local function is_chain(list, features)
  local width = features
  for _, layer in ipairs(list) do
    if width and layer.reads ~= width then return false end
    width = layer.out
  end
  return true
end

-- Names tell no order: the linear ones in the order of their names, each norm behind the first that has its width.
local function by_widths(list)
  local order, norms = {}, {}
  for _, layer in ipairs(list) do
    if layer.kind ~= "linear" then norms[#norms + 1] = layer end
  end
  for _, layer in ipairs(list) do
    if layer.kind == "linear" then
      order[#order + 1] = layer
      if norms[1] and norms[1].reads == layer.out then order[#order + 1] = table.remove(norms, 1) end
    end
  end
  return #norms == 0 and order or {}
end

-- The layer's place in its Sequential and what stands before that, or nil.
local function place(layer)
  local lead, index = layer.path:match "^(.-)(%d+)$"
  if not index or lead ~= "" and lead:sub(-1) ~= "." then return nil end
  return math.tointeger(tonumber(index)), lead
end

-- The paths of the layers that must stand between two: those of a gap; or false where names do not tell.
local function gap(a, b)
  local from, lead = place(a)
  local to, other = place(b)
  if not from or not to or lead ~= other or to - from > WIDEST_GAP then return false end
  local paths = {}
  for index = from + 1, to - 1 do paths[#paths + 1] = lead .. index end
  return paths
end

-- Where the activation is that stands between the linear layers list[i] and list[j]: behind which layer, and its path.
local function activation_place(list, i, j)
  for k = i, j - 1 do
    local paths = gap(list[k], list[k + 1])
    if paths and #paths > 0 then return k, paths[1] end
    if paths == false and k == j - 1 then return k, list[i].path .. ".activation" end
  end
  return nil
end

-- Index of a layer -> {path, kind} of the activations behind it.
local function default_activations(list, kind)
  local found, last = {}, nil
  for j, layer in ipairs(list) do
    if layer.kind == "linear" then
      local at, path = nil, nil
      if last and kind ~= "none" then at, path = activation_place(list, last, j) end
      if at then found[at] = { { path = path, kind = kind } } end
      last = j
    end
  end
  return found
end

-- Those that the user has named, by their names in the file.
local function named_activations(list, named, called)
  local found, left = {}, {}
  for name, kind in pairs(named) do left[name] = kind end
  for k = 1, #list - 1 do
    for _, path in ipairs(gap(list[k], list[k + 1]) or {}) do
      local kind = left[called .. "." .. path]
      if kind then
        found[k] = found[k] or {}
        table.insert(found[k], { path = path, kind = kind })
        left[called .. "." .. path] = nil
      end
    end
  end
  local stray = next(left)
  if stray then
    errors.raise("head_activation: expected names between the layers of the head '%s', got '%s'", called, stray)
  end
  return found
end

local function add_activations(built, shown, behind, stem, given)
  for _, one in ipairs(behind or {}) do
    if one.kind ~= "none" then
      built[#built + 1] = { op = one.kind, name = stem .. "." .. one.path, attrs = {} }
      shown[#shown + 1] = one.kind
    end
    local p = given.head_dropout or 0
    if p > 0 then
      built[#built + 1] = { op = "dropout", name = ("%s.%s.dropout"):format(stem, one.path), attrs = { p = p } }
    end
  end
end

local words = { linear = "linear", batch_norm2d = "batch norm", layer_norm = "layer norm" }

local function build(list, activations, stem, given)
  local built, shown = {}, {}
  for k, layer in ipairs(list) do
    local attrs = layer.kind == "linear" and { out = layer.out, bias = layer.bias } or { eps = given.eps or 1e-5 }
    built[#built + 1] = { op = layer.kind, name = stem .. "." .. layer.path, attrs = attrs }
    shown[#shown + 1] = ("%s '%s'"):format(words[layer.kind], layer.path)
    add_activations(built, shown, activations[k], stem, given)
  end
  return built, table.concat(shown, ", ")
end

--- Reads a head of several layers.
-- @param view of the file
-- @string stem what its names begin with, under torchvision's names
-- @string called what they begin with in the file
-- @tparam ?int features that it gets, where known; it may read twice as many, of two kinds of pooling
-- @tab given `head_activation` ("relu"), a kind or a table name in the file -> kind; `head_dropout` (0); `eps`
-- @treturn table|nil `layers`, as secateur.models.head takes them; `classes`; `reads`, features; `note`
-- @treturn string what is not understood
function head_layers.read(view, stem, called, features, given)
  local list, problem = collect(view, stem)
  if not list then return nil, problem end
  table.sort(list, before)
  local reads = features and list[1] and list[1].reads == 2 * features and 2 * features or features
  if not is_chain(list, reads) then list = by_widths(list) end
  local last = list[#list]
  if not last or last.kind ~= "linear" or not is_chain(list, reads) then
    return nil, "layers that do not follow one another"
  end
  local kinds = given.head_activation or "relu"
  local activations = type(kinds) == "table" and named_activations(list, kinds, called)
    or default_activations(list, kinds)
  local built, shown = build(list, activations, stem, given)
  return { layers = built, classes = last.out, reads = list[1].reads,
    note = ("took the head '%s' as %s (head_activation, head_dropout, which the file does not tell)"):format(called,
      shown) }
end

return head_layers
