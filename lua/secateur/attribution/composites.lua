--- Composites: which rule stands at which node.
--
-- A composite is an ordered list of `{ match =, depth =, rule = }`; for every node the first entry that matches wins,
-- and a node that no entry matches is an error. Of `match` and `depth` one may be missing; where both are there, both
-- must hold. `match` is
--
-- * an operation ("conv2d", "max_pool2d"; `core.operations()` has them all) or a kind: "conv", "linear", "activation",
--   "max_pool", "avg_pool", "norm", "add", "routing" (flatten, concat, tokens, select), "attention"
--   (the two products), "any";
-- * else a Lua pattern for the node's name, e.g. "^features%.0$";
-- * or a function of the node (`name`, `op`, `shape`, `depth` from 1 among weighted nodes, `first_conv`,
--   `first_weighted`).
--
-- `depth` is the place among the nodes with weights (convolutions and linear layers), in the order of the graph: a
-- number from 1, or from -1 backwards (-1 is the last), or a list of two of these, first and last, both inclusive.
--
-- Batch norms are folded into the layers before them, unless the composite has a field `fold = false`; then they are
-- nodes of their own.
--
-- @module secateur.attribution.composites
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local rules = require "secateur.attribution.rules"

local composites = {}

-- Of each kind the set of its operations, and the set of all operations.
local kinds, operations = {}, {}
for _, operation in ipairs(core.operations()) do
  operations[operation.name] = true
  if operation.kind then
    kinds[operation.kind] = kinds[operation.kind] or {}
    kinds[operation.kind][operation.name] = true
  end
end

-- What kinds were called before.
local renamed = { pool = "max_pool", average = "avg_pool" }

-- What most composites share: sums and averages in proportion, activations pass, the rest as the network routes. A
-- batch norm is there only where it could not be folded.
local function common()
  return {
    { match = "add", rule = rules.epsilon() },
    { match = "avg_pool", rule = rules.epsilon() },
    { match = "batch_norm2d", rule = rules.epsilon() },
    { match = "activation", rule = rules.pass() },
    { match = "max_pool", rule = rules.own() },
    { match = "routing", rule = rules.gradient() },
    { match = "layer_norm", rule = rules.own() },
    { match = "softmax", rule = rules.own() },
    { match = "attention", rule = rules.own() },
  }
end

local function with_common(entries)
  for _, entry in ipairs(common()) do entries[#entries + 1] = entry end
  return entries
end

local function first_conv(node) return node.first_conv end
local function first_weighted(node) return node.first_weighted end

-- DL-Backtrace with one signal, behind some entries.
local function dlb(mode, entries)
  for _, entry in ipairs { { match = "conv", rule = rules.dlb(mode) }, { match = "linear", rule = rules.dlb(mode) },
    { match = "add", rule = rules.magnitudes() }, { match = "avg_pool", rule = rules.magnitudes() },
    { match = "batch_norm2d", rule = rules.dlb(mode) }, { match = "max_pool", rule = rules.own "ties" } } do
    entries[#entries + 1] = entry
  end
  return with_common(entries)
end

--- The named composites, as functions that make their lists.
composites.named = {
  --- Epsilon for linear layers, z+ for convolutions: the default for CNNs.
  epsilon_plus = function()
    return with_common { { match = "conv", rule = rules.zplus() }, { match = "linear", rule = rules.epsilon() } }
  end,
  --- The same, flat at the first layer.
  epsilon_plus_flat = function()
    return with_common { { match = first_weighted, rule = rules.flat() }, { match = "conv", rule = rules.zplus() },
      { match = "linear", rule = rules.epsilon() } }
  end,
  --- Epsilon for linear layers, alpha 2 beta 1 for convolutions.
  epsilon_alpha2_beta1 = function()
    return with_common { { match = "conv", rule = rules.alphabeta(2, 1) },
      { match = "linear", rule = rules.epsilon() } }
  end,
  --- The same, flat at the first layer.
  epsilon_alpha2_beta1_flat = function()
    return with_common { { match = first_weighted, rule = rules.flat() },
      { match = "conv", rule = rules.alphabeta(2, 1) }, { match = "linear", rule = rules.epsilon() } }
  end,
  --- Epsilon for linear layers, gamma (0.25) for convolutions, z-box at the first convolution, from `low` to `high` (-3
  -- and 3).
  epsilon_gamma_box = function(given)
    return with_common { { match = first_conv, rule = rules.zbox(given.low or -3, given.high or 3) },
      { match = "conv", rule = rules.gamma(0.25) }, { match = "linear", rule = rules.epsilon() } }
  end,
  --- AttnLRP (Achtibat et al. 2024): epsilon everywhere, the products share equally, softmax by its linearisation.
  attnlrp = function()
    return with_common { { match = "conv", rule = rules.epsilon() }, { match = "linear", rule = rules.epsilon() } }
  end,
  --- CP-LRP: attention weights are constants.
  cp_lrp = function()
    return with_common { { match = "attention", rule = rules.own "detach_weights" },
      { match = "softmax", rule = rules.block() },
      { match = "conv", rule = rules.epsilon() }, { match = "linear", rule = rules.epsilon() } }
  end,
  --- DL-Backtrace, default mode (Sankarapu et al. 2024).
  dlb = function() return dlb("default", {}) end,
  --- DL-Backtrace, default mode, as the package dl_backtrace computes it: see rules.dlb; norms pass relevance
  -- unchanged, and batch norms are not folded. Where the package fails or ignores what an operation says (average
  -- pools with padding, groups, dilation, kernels and strides of unequal sides), this does not.
  dlb_compat = function()
    local entries = dlb("package", { { match = "norm", rule = rules.pass() } })
    entries.fold = false
    return entries
  end,
  --- DL-Backtrace, contrastive mode: what speaks for the target and what speaks against it, as two signals.
  dlb_contrastive = function()
    return with_common { { match = "conv", rule = rules.contrastive() },
      { match = "linear", rule = rules.contrastive() }, { match = "add", rule = rules.contrastive() },
      { match = "avg_pool", rule = rules.contrastive() }, { match = "max_pool", rule = rules.own "ties" },
      { match = "batch_norm2d", rule = rules.contrastive() } }
  end,
}

-- Errors of the user's function keep their place in the message, which else says only where the composite was used.
local function ask(match, node)
  local ok, found = pcall(match, node)
  if ok then return found end
  errors.raise("composite: match, asked of %s '%s': %s", node.op, node.name, type(found) == "string" and found
    or "raised " .. options.describe(found))
end

local function has_name(match, node)
  if match == nil or match == "any" or match == node.op then return true end
  if type(match) == "function" then return ask(match, node) end
  if kinds[match] then return kinds[match][node.op] or false end
  if operations[match] then return false end
  return node.name:find(match) ~= nil
end

-- deepest: how many nodes have weights.
local function has_depth(depth, node, deepest)
  if depth == nil then return true end
  if not node.depth then return false end
  local function from_start(place) return place < 0 and deepest + 1 + place or place end
  local first, last = depth, depth
  if type(depth) == "table" then first, last = depth[1], depth[2] end
  return node.depth >= from_start(first) and node.depth <= from_start(last)
end

-- Nodes as match functions see them.
local function describe(nodes)
  local depth, convs, described = 0, 0, {}
  for _, node in ipairs(nodes) do
    local weighted = node.linearity == "weighted"
    if weighted then depth = depth + 1 end
    if node.op == "conv2d" then convs = convs + 1 end
    described[#described + 1] = { name = node.name, op = node.op, shape = node.shape, attrs = node.attrs,
      linearity = node.linearity,
      depth = weighted and depth or nil, first_weighted = weighted and depth == 1,
      first_conv = node.op == "conv2d" and convs == 1 }
  end
  return described, depth
end

local function is_place(value) return math.type(value) and math.tointeger(value) and value ~= 0 end

local function depth_fault(depth)
  if depth == nil or is_place(depth) then return nil end
  local pair = type(depth) == "table" and #depth == 2 and is_place(depth[1]) and is_place(depth[2])
  if pair and not (depth[1] > depth[2] and (depth[1] < 0) == (depth[2] < 0)) then return nil end
  local got = type(depth) == "table" and #depth == 2 and ("{ %s, %s }"):format(options.describe(depth[1]),
    options.describe(depth[2])) or options.describe(depth)
  return "depth: expected a whole number but 0, or { first, last } in this order, got " .. got
end

-- What is wrong with an entry, or nil.
local function entry_fault(entry)
  local match = type(entry) == "table" and entry.match
  local good = type(match) == "string" or type(match) == "function" or match == nil and entry.depth ~= nil
  if not good or type(entry.rule) ~= "table" then
    return "expected { match = kind, pattern or function, rule = table }"
  end
  for key in pairs(entry) do
    if key ~= "match" and key ~= "depth" and key ~= "rule" then
      return ("unknown field %s, expected one of: match, depth, rule"):format(options.describe(key))
    end
  end
  if renamed[match] then return ("match: kind '%s' is called '%s' now"):format(match, renamed[match]) end
  local readable, why = pcall(string.find, "", type(match) == "string" and match or "")
  if not readable then
    return ("match: expected a kind or a pattern, got %s: %s"):format(options.describe(match), why)
  end
  local fault = core.check_rule(entry.rule)
  return depth_fault(entry.depth) or fault and "rule: " .. fault
end

local function composite_fault(composite)
  for key in pairs(composite) do
    if key ~= "fold" and not (is_place(key) and key >= 1 and key <= #composite) then
      return "expected a list of entries, got a field " .. options.describe(key)
    end
  end
  if composite.fold ~= nil and type(composite.fold) ~= "boolean" then
    return "fold: expected a boolean, got " .. options.describe(composite.fold)
  end
  for i = 1, #composite do
    local fault = entry_fault(composite[i])
    if fault then return ("entry %d: %s"):format(i, fault) end
  end
end

-- What stands at batch norms that were not folded.
local function set_batch_norm(entries, how)
  for _, entry in ipairs(entries) do
    if entry.match == "batch_norm2d" and how then entry.rule = how == "pass" and rules.pass() or rules.epsilon() end
  end
  return entries
end

--- Finds the entries of a composite by name, or checks the user's own.
-- @string name the public function, for messages
-- @param composite a name or a list of entries
-- @tab[opt] given of composites with a name: `low`, `high` (bounds of pixels, a number or a list of one per channel),
--   `batch_norm` ("epsilon" or "pass")
-- @treturn {table,...}
function composites.get(name, composite, given)
  given = given or {}
  if type(composite) == "string" then
    local make = composites.named[composite]
    if make then return set_batch_norm(make(given), given.batch_norm) end
    local known = options.sorted_keys(composites.named)
    errors.refuse(name, "composite: expected one of %s, or a list, got '%s'%s", table.concat(known, ", "), composite,
      options.suggest(composite, known))
  elseif type(composite) ~= "table" then
    errors.refuse(name, "composite: expected a name or a list, got " .. options.describe(composite))
  end
  local fault = composite_fault(composite)
  if fault then errors.refuse(name, "composite: " .. fault) end
  return composite
end

--- A rule for every node of a graph.
-- @string name the public function, for messages
-- @tparam {table,...} entries of a composite
-- @tparam {table,...} nodes from graph:nodes()
-- @treturn table node name -> rule
function composites.resolve(name, entries, nodes)
  local resolved, unmatched = {}, {}
  local described, deepest = describe(nodes)
  for _, node in ipairs(described) do
    if node.linearity ~= "source" then
      for _, entry in ipairs(entries) do
        if has_depth(entry.depth, node, deepest) and has_name(entry.match, node) then
          resolved[node.name] = entry.rule
          break
        end
      end
      if not resolved[node.name] then unmatched[#unmatched + 1] = ("%s '%s'"):format(node.op, node.name) end
    end
  end
  if #unmatched > 0 then
    errors.refuse(name, "composite: no entry matches %s", table.concat(unmatched, ", "))
  end
  return resolved
end

return composites
