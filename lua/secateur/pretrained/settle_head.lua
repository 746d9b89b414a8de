--- What a file's head is: one linear layer, several, or a new one to be put in its place; softmax or sigmoid.
-- @module secateur.pretrained.settle_head
local errors = require "secateur.util.errors"
local head_layers = require "secateur.pretrained.head_layers"

local function note(found, format, ...) found.notes[#found.notes + 1] = format:format(...) end

-- What the names of a head begin with in the file.
local function called_stem(view, head, rest)
  local called = view.called[head .. "." .. rest]
  return #called > #rest + 1 and called:sub(1, #called - #rest - 1) or head
end

-- ---- pooling ----

-- How maps become features, which the width of what reads them tells in part.
local function settle_pool(found, reads, given)
  local features, asked, opts = found.features, given.pool, found.opts
  if not features or found.family.name == "vit" then
    if asked then errors.raise("pool: expected none, the %s has no global pooling to choose", found.family.name) end
    return
  end
  if reads == 2 * features then
    if asked and asked ~= "max_avg" and asked ~= "avg_max" then
      errors.raise("pool: expected 'max_avg' or 'avg_max', since the head reads %d features of %d channels, got '%s'",
        reads, features, asked)
    end
    opts.global_pool = asked or "max_avg"
    if not asked then
      note(found, "took the %d features of %d channels as their maxima followed by their means, as fastai has them "
        .. "(pool = 'avg_max' for the other order)", reads, features)
    end
  elseif asked == "max_avg" or asked == "avg_max" then
    errors.raise("pool: expected 'avg' or 'max', since the head reads %d features of %d channels, got '%s'", reads,
      features, asked)
  elseif asked == "max" then
    opts.global_pool = asked
  end
end

-- ---- layers ----

-- One linear layer in a Sequential, beside dropout, is a head like any other.
local function take_only_layer(view, found, list)
  local head = found.head
  local layer = list[1] and list[#list]:match("^(.*)%.weight$")
  local shape = layer and view.shapes[head .. "." .. layer .. ".weight"]
  local bias = #list == 2 and list[1] == (layer or "") .. ".bias"
  if not bias or #shape ~= 2 then return false end
  local called = view.called[("%s.%s.weight"):format(head, layer)]:gsub("%.weight$", "")
  for _, slot in ipairs { "weight", "bias" } do
    view:rename(("%s.%s.%s"):format(head, layer, slot), head .. "." .. slot)
  end
  found.opts.classes = shape[1]
  note(found, "took the only layer of the head, '%s', as the head", called)
  return shape[2]
end

local function replace(view, found, list, classes)
  local head = found.head
  for _, name in ipairs(list) do view:drop(head .. "." .. name) end
  found.opts.classes, found.new = classes, true
  note(found, #list == 0 and "put a new head '%s' of %d classes where there was none"
    or "replaced the layers of the head '%s' by a new one of %d classes", head, classes)
end

local function not_understood(head, list)
  if #list == 0 then
    return ("expected a head '%s', which is not there; classes = n puts a new one"):format(head)
  end
  return ("expected one linear layer as head '%s', or several that follow one another, got '%s.%s'; classes = n puts a "
    .. "new one in its place"):format(head, head, table.concat(list, ("', '%s."):format(head)))
end

-- Sees to it that the view has the head's parameters, or nothing of a head and `found.new` is set. Gives the features
-- that the head reads, where it stays.
local function settle_layers(view, found, given, classes)
  local head, list = found.head, view:below(found.head)
  local plain = view.shapes[head .. ".weight"]
  if plain and #plain ~= 2 then
    errors.raise("'%s.weight': expected 2 dimensions, got [%s]", head, table.concat(plain, "x"))
  end
  local reads = plain and plain[2] or take_only_layer(view, found, list)
  if reads then
    for _, key in ipairs { "head_activation", "head_dropout" } do
      if given[key] ~= nil then errors.raise("%s: expected none, the head is one linear layer", key) end
    end
    return reads
  end
  local layers = list[1] and head_layers.read(view, head, called_stem(view, head, list[1]), found.features, given)
  if layers and (not classes or classes == layers.classes or found.family.name == "vgg") then
    found.opts.head_layers, found.opts.classes = layers.layers, layers.classes
    note(found, "%s", layers.note)
    return layers.reads
  end
  if not classes then errors.raise("%s", not_understood(head, list)) end
  replace(view, found, list, classes)
  return nil
end

-- ---- classes ----

-- How many logits the file's head has, or nil.
local function own_outputs(view, found)
  local plain = view.shapes[found.head .. ".weight"]
  if plain then return plain[1] end
  local layers = head_layers.read(view, found.head, "", found.features, {})
  return layers and layers.classes
end

local settle_head = {}

--- How many logits are wanted, and what makes probabilities of them. A head of one logit is that of two classes, since
-- a softmax of one says nothing.
-- @tab given the user's options: `classes`, a number or nil; `kind`, "softmax", "sigmoid" or nil
-- @tparam ?int own logits that there are
-- @treturn ?int nil where they stay as they are
-- @treturn ?string "softmax", "sigmoid", or nil where nothing was asked for and nothing follows
function settle_head.outputs(given, own)
  local kind, count = given.kind, given.classes
  if own == 1 and kind ~= "softmax" and (count == nil or count <= 2) then return 1, "sigmoid" end
  if own == 1 and count == nil then
    errors.raise("head: expected 'sigmoid' for a head of one logit, got 'softmax'; classes = n puts a new one in its "
      .. "place")
  end
  return count, kind
end

--- Settles the head of what was found in a file.
-- @param view of the file; changed
-- @tab found of secateur.pretrained.infer_architecture; `opts` gets `classes` and what the head and the pooling before
--   it need, `new` is set where the file has no head that stays
-- @tab given the user's options
-- @treturn ?int logits that are wanted
-- @treturn ?string kind, as of `outputs`
function settle_head.of_file(view, found, given)
  local own = own_outputs(view, found)
  local count, kind = settle_head.outputs(given, own)
  local reads = settle_layers(view, found, given, count)
  if reads then settle_pool(found, reads, given) else found.opts.global_pool = given.pool end
  if own == 1 and kind == "sigmoid" and not given.kind then
    note(found, "took the head of one logit as a sigmoid, that of the second of two classes (head = 'sigmoid')")
  end
  return count, kind
end

return settle_head
