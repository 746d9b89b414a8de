--- Composites: which rule stands at which node.
--
-- A composite is an ordered list of `{ match =, rule = }`; for every node the first entry that matches wins, and a node
-- that no entry matches is an error. `match` is
--
-- * an operation ("conv2d", "max_pool2d"; `core.operations()` has them all) or a kind: "conv", "linear", "activation",
--   "pool" (max), "average" (average pools), "norm", "add", "routing" (flatten, concat, tokens, select), "attention"
--   (the two products), "any";
-- * else a Lua pattern for the node's name, e.g. "^features%.0$";
-- * or a function of the node (`name`, `op`, `shape`, `depth` from 1 among weighted nodes, `first_conv`,
--   `first_weighted`).
--
-- @module secateur.attribution.composites
local core = require "secateur.core"
local rules = require "secateur.attribution.rules"
local options = require "secateur.util.options"

local composites = {}

local operations = {}
for _, operation in ipairs(core.operations()) do operations[operation.name] = true end

local kinds = {
  conv = { conv2d = true },
  linear = { linear = true },
  activation = { relu = true, gelu = true, sigmoid = true, tanh = true, silu = true, dropout = true },
  pool = { max_pool2d = true },
  average = { avg_pool2d = true, adaptive_avg_pool2d = true },
  norm = { batch_norm2d = true, layer_norm = true },
  add = { add = true },
  routing = { flatten = true, concat = true, tokens = true, select = true },
  attention = { attention_scores = true, attention_context = true },
}

-- What most composites share: sums and averages in proportion, activations pass, the rest as the network routes.
local function common()
  return {
    { match = "add", rule = rules.epsilon() },
    { match = "average", rule = rules.epsilon() },
    { match = "batch_norm2d", rule = rules.epsilon() },
    { match = "activation", rule = rules.pass() },
    { match = "pool", rule = rules.own() },
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
  --- Epsilon for linear layers, gamma (0.25) for convolutions, z-box (-3, 3) at the first convolution.
  epsilon_gamma_box = function()
    return with_common { { match = first_conv, rule = rules.zbox(-3, 3) },
      { match = "conv", rule = rules.gamma(0.25) }, { match = "linear", rule = rules.epsilon() } }
  end,
  --- AttnLRP (Achtibat et al. 2024): epsilon everywhere, the products share equally, softmax by its linearisation.
  attnlrp = function()
    return with_common { { match = "conv", rule = rules.epsilon() }, { match = "linear", rule = rules.epsilon() } }
  end,
  --- CP-LRP: attention weights are constants.
  cp_lrp = function()
    return with_common { { match = "attention", rule = rules.own "hold" }, { match = "softmax", rule = rules.block() },
      { match = "conv", rule = rules.epsilon() }, { match = "linear", rule = rules.epsilon() } }
  end,
  --- DL-Backtrace, default mode (Sankarapu et al. 2024).
  dlb = function()
    return with_common { { match = "conv", rule = rules.dlb() }, { match = "linear", rule = rules.dlb() },
      { match = "add", rule = rules.magnitudes() }, { match = "average", rule = rules.magnitudes() },
      { match = "pool", rule = rules.own "ties" } }
  end,
}

local function matches(entry, node)
  local match = entry.match
  if type(match) == "function" then return match(node) end
  if match == "any" or match == node.op then return true end
  if kinds[match] then return kinds[match][node.op] or false end
  if operations[match] then return false end
  return node.name:find(match) ~= nil
end

-- Nodes as match functions see them.
local function describe(nodes)
  local depth, convs, described = 0, 0, {}
  for _, node in ipairs(nodes) do
    local weighted = node.map == "weighted"
    if weighted then depth = depth + 1 end
    if node.op == "conv2d" then convs = convs + 1 end
    described[#described + 1] = { name = node.name, op = node.op, shape = node.shape, attrs = node.attrs,
      map = node.map,
      depth = weighted and depth or nil, first_weighted = weighted and depth == 1,
      first_conv = node.op == "conv2d" and convs == 1 }
  end
  return described
end

--- Finds the entries of a composite by name, or checks the user's own.
-- @string name the public function, for messages
-- @param composite a name or a list of entries
-- @int[opt=0] depth as in options.fail
-- @treturn {table,...}
function composites.get(name, composite, depth)
  depth = (depth or 0) + 1
  if type(composite) == "string" then
    local make = composites.named[composite]
    if make then return make() end
    local known = {}
    for key in pairs(composites.named) do known[#known + 1] = key end
    table.sort(known)
    options.fail(name, ("composite: expected one of %s, or a list, got '%s'"):format(table.concat(known, ", "),
      composite), depth)
  elseif type(composite) ~= "table" then
    options.fail(name, "composite: expected a name or a list, got " .. options.describe(composite), depth)
  end
  for i, entry in ipairs(composite) do
    local good = type(entry) == "table" and (type(entry.match) == "string" or type(entry.match) == "function")
      and type(entry.rule) == "table"
    if not good then
      local message = "composite: entry %d: expected { match = kind, pattern or function, rule = table }"
      options.fail(name, message:format(i), depth)
    end
    local readable, fault = pcall(string.find, "", type(entry.match) == "string" and entry.match or "")
    if not readable then
      options.fail(name, ("composite: entry %d: match: expected a kind or a pattern, got %s: %s"):format(i,
        options.describe(entry.match), fault), depth)
    end
  end
  return composite
end

--- A rule for every node of a graph.
-- @string name the public function, for messages
-- @tparam {table,...} entries of a composite
-- @tparam {table,...} nodes from graph:nodes()
-- @int[opt=0] depth as in options.fail
-- @treturn table node name -> rule
function composites.resolve(name, entries, nodes, depth)
  local resolved, unmatched = {}, {}
  for _, node in ipairs(describe(nodes)) do
    if node.map ~= "source" then
      for _, entry in ipairs(entries) do
        if matches(entry, node) then
          resolved[node.name] = entry.rule
          break
        end
      end
      if not resolved[node.name] then unmatched[#unmatched + 1] = ("%s '%s'"):format(node.op, node.name) end
    end
  end
  if #unmatched > 0 then
    options.fail(name, ("composite: no entry matches %s"):format(table.concat(unmatched, ", ")), (depth or 0) + 1)
  end
  return resolved
end

return composites
