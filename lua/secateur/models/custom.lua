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

--- Builds a model from a function.
--
--     local model = sc.model { input = { 1, 64, 64 }, build = function(net, x)
--       x = net:conv2d("conv1", x, { out = 16, kernel = 3, padding = 1 })
--       x = net:relu("relu1", x)
--       x = net:adaptive_avg_pool2d("pool", x, { output = 1 })
--       return net:linear("head", net:flatten("flat", x), { out = 3 })
--     end }
--
-- @tparam table opts `input` (shape of one sample), `build` (function(net, x) -> name of the output node; `net` has a
--   method per operation, see secateur.models.builder), `name` ("custom"), `head` ("softmax"; "sigmoid": each
--   output by itself), `seed` (0), `init` (rules for initial weights, see secateur.models.initial_weights)
-- @treturn Model
-- @usage
-- local model = sc.model { input = { 1, 28, 28 }, build = function(net, x)
--   return net:linear("head", net:flatten("flat", x), { out = 2 })
-- end }
return function(opts)
  local checked = options.check("model", opts, rules)
  local net, x
  errors.within("model", function() net, x = builder.new(checked.input) end)
  local output = checked.build(net, x)
  return (errors.within("model", function()
    if output ~= nil then net.graph:output(output) end
    initial_weights(net.graph, checked.init, checked.seed)
    return model.new(net.graph, { architecture = checked.name,
      head = checked.head ~= "softmax" and checked.head or nil })
  end))
end
