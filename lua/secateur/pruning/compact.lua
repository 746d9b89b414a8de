--- Removes what a pruned model no longer computes: an equivalent model, smaller and faster.
-- @module secateur.pruning.compact
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local model_class = require "secateur.models.model"

--- An equivalent model without the units that compute nothing: the same logits (sums in another order, so to rounding),
-- fewer parameters and multiply-adds. The model given stays as it is.
--
-- It works on any model, by what each operation does to units, not by architecture: rows and columns of weights that
-- are zero go, with the channels of norms, the features behind a flatten, features of queries and keys together, those
-- of values with the columns of the projection, and whole heads. What is the same for every image and not zero goes
-- into the bias of its reader where that is exact, and is kept otherwise (before zero padding). In a residual stream a
-- branch computes only the channels that it still makes, and adds them into place (operation `index_add`); a block of
-- which nothing is left disappears.
--
-- The result is an ordinary model: it can be evaluated, explained, trained, pruned again, saved, loaded, exported to
-- ONNX. It has no `pruning_plan`; nodes and parameters keep their names, with fewer units. Parameters that nodes shared
-- and need in different parts become their own.
-- @tparam Model model
-- @treturn Model
-- @raise where every path from the images to the output is dead
-- @usage
-- local small = sc.compact(pruned)
-- small:save("small.safetensors")
local function compact(model)
  model_class.check("compact", model)
  local graph = errors.within("compact", core.compact, model.graph)
  local info = {}
  for key, value in pairs(model.info) do info[key] = value end
  return model_class.new(graph, info)
end

return compact
