--- What the logits of a model mean. A softmax head has a logit per class, of which one holds; a sigmoid head of one
-- logit says yes or no, class 2 or class 1; one of several logits says yes or no of each finding by itself.
-- @module secateur.models.heads
local core = require "secateur.core"

local heads = {}

--- The kind of a model's head.
-- @tparam Model model `head` ("softmax" or "sigmoid") and how many logits it has
-- @treturn string "softmax", "binary" (one sigmoid logit) or "multi_label" (several)
function heads.kind(model)
  if model.head ~= "sigmoid" then return "softmax" end
  return model.output_count == 1 and "binary" or "multi_label"
end

--- A logit per class: those that there are, but of one sigmoid logit z the two classes have -z and z.
-- @string kind as `heads.kind` gives it
-- @tparam Tensor logits [N x outputs]
-- @treturn Tensor [N x classes]
function heads.class_logits(kind, logits)
  if kind ~= "binary" then return logits end
  local rows = logits:totable()
  for i, row in ipairs(rows) do rows[i] = { -row[1], row[1] } end
  return core.tensor(rows)
end

--- The probability of each class or finding.
-- @string kind as `heads.kind` gives it
-- @tparam Tensor logits [N x outputs]
-- @treturn Tensor [N x classes]: softmax, with rows that sum to 1; of one sigmoid logit [1 - p, p]; else each sigmoid
function heads.probabilities(kind, logits)
  if kind == "softmax" then return core.softmax(logits) end
  return core.sigmoid(heads.class_logits(kind, logits))
end

--- Labels of two classes as what one sigmoid logit is held against.
-- @tparam Tensor labels int64 [N], 1 or 2
-- @treturn Tensor [N x 1], 0 or 1
function heads.binary_targets(labels)
  local rows = labels:totable()
  for i, label in ipairs(rows) do rows[i] = { label - 1 } end
  return core.tensor(rows)
end

return heads
