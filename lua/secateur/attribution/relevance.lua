--- LRP and DL-Backtrace: one run forward, one backward pass by a composite's rules, with batch norms folded unless the
-- composite says otherwise.
-- @module secateur.attribution.relevance
local composites = require "secateur.attribution.composites"
local core = require "secateur.core"
local bn_folding = require "secateur.attribution.bn_folding"

local relevance = {}

--- Whether a network has attention.
-- @tparam Graph graph
-- @treturn boolean
function relevance.has_attention(graph)
  for _, node in ipairs(graph:nodes()) do
    if node.op == "attention_scores" then return true end
  end
  return false
end

--- The composite that fits a model best: AttnLRP where there is attention, else epsilon-plus.
-- @tparam Graph graph
-- @treturn string
function relevance.default_composite(graph)
  return relevance.has_attention(graph) and "attnlrp" or "epsilon_plus"
end

--- Prepares a model for a composite; the result serves any number of batches.
--
-- In mode "contrastive" two signals travel at once. Rules.contrastive makes the two meet; all others treat both alike.
-- @tparam Model model
-- @string name the public function, for messages
-- @tparam table opts `composite` (name or list), `batch` (most samples at a time), `keep` and `sums` (node names: whole
--   relevance, relevance per unit), `mode` ("default" or "contrastive"), `exact` (false), `batch_norm`, `low`, `high`
--   (see `composites.get`)
-- @treturn table `forward(x)` -> logits, `backward(start)`, `get(node)` -> Tensor, `sums(node)` -> Tensor [N x units];
--   with two signals `backward(start, against)`, and `get(node, true)`, `sums(node, true)` are of the second
function relevance.prepare(model, name, opts)
  local entries = composites.get(name, opts.composite, { batch_norm = opts.batch_norm, low = opts.low,
    high = opts.high })
  local folded = entries.fold == false and model.graph or core.fold_batch_norm(model.graph)
  local alias = bn_folding.aliases(model.graph, folded)
  local rules = composites.resolve(name, entries, folded:nodes())
  local walker = core.relevance(folded, { batch = opts.batch, rules = rules, exact = opts.exact,
    keep = bn_folding.nodes(alias, opts.keep or {}), sums = bn_folding.nodes(alias, opts.sums or {}),
    second_relevance = opts.mode == "contrastive" })
  return {
    forward = function(x) return walker:forward(x) end,
    backward = function(start, against) walker:backward(start, against) end,
    get = function(node, second) return walker:relevance(alias[node], second) end,
    sums = function(node, second) return walker:sums(alias[node], second) end,
    close = function() walker:close() end,
  }
end

return relevance
