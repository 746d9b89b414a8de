--- Models of one's own making.
-- @module secateur.models.custom
local builder = require "secateur.models.builder"
local errors = require "secateur.util.errors"
local initial_weights = require "secateur.models.initial_weights"
local model = require "secateur.models.model"
local options = require "secateur.util.options"

local rules = {
  build = { type = "function", required = true },
  input = { type = "table", required = true },
  name = { type = "string", default = "custom" },
  head = { one_of = { "softmax", "sigmoid" }, default = "softmax" },
  seed = { type = "integer", default = 0 },
  init = { type = "table", default = {
    { "conv.*weight$", "kaiming_out" }, { "weight$", "torch_default" }, { "value$", "normal", 0.02 },
  } },
}

-- What a build gave has to be the logits: a node with one number per class. Where it gave nothing, the last node can be
-- meant.
local function set_output(graph, output)
  if output ~= nil then graph:output(output) end
  local node = graph:node(graph:output())
  if #node.shape == 1 and node.op ~= "input" then return end
  local way = "linear makes logits"
  if #node.shape == 3 then way = "adaptive_avg_pool2d with output = 1, flatten and linear make logits of a map" end
  if #node.shape == 2 then way = "select and linear make logits of tokens" end
  errors.raise("build: expected an output of [classes], a number for each, got %s'%s' [%s]; %s",
    output == nil and "nothing, and as the last node " or "node ", node.name, table.concat(node.shape, " x "), way)
end

--- Builds a model from a function.
--
--     local model = sc.model { input = { 1, 64, 64 }, build = function(net, x)
--       x = net:conv2d("conv1", x, { out = 16, kernel = 3, padding = 1 })
--       x = net:relu("relu1", x)
--       x = net:adaptive_avg_pool2d("pool", x, { output = 1 })
--       return net:linear("head", net:flatten("flat", x), { out = 3 })
--     end }
--
-- @tparam table opts `input` (shape of one sample), `build` (function(net, x) -> name of the output node, by default
--   the last one, whose shape is [classes]; `net` has a method per operation, see secateur.models.builder), `name`
--   ("custom"), `head` ("softmax"; "sigmoid": each output by itself), `seed` (0), `init` (rules for initial weights,
--   see secateur.models.initial_weights)
-- @treturn Model
-- @usage
-- local model = sc.model { input = { 1, 28, 28 }, build = function(net, x)
--   return net:linear("head", net:flatten("flat", x), { out = 2 })
-- end }
return function(opts)
  local checked = options.check("model", opts, rules)
  local net, x
  errors.within("model", function() net, x = builder.new(checked.input) end)
  local output = errors.call(checked.build, net, x)
  return (errors.within("model", function()
    set_output(net.graph, output)
    initial_weights(net.graph, checked.init, checked.seed)
    return model.new(net.graph, { architecture = checked.name,
      head = checked.head ~= "softmax" and checked.head or nil })
  end))
end
