--- Networks whose output is whatever a function ends with, maps and tokens too, which sc.model refuses.
local builder = require "secateur.models.builder"
local initial_weights = require "secateur.models.initial_weights"
local model = require "secateur.models.model"

--- opts: `input`, `build`, as sc.model takes them.
return function(opts)
  local net, x = builder.new(opts.input)
  local output = opts.build(net, x)
  if output then net.graph:output(output) end
  initial_weights(net.graph, { { "weight$", "torch_default" }, { "value$", "normal", 0.02 } }, 0)
  return model.new(net.graph, { architecture = "custom" })
end
