--- Runs of a network that take gradients, a few rows at a time.
-- @module secateur.attribution.batch_budget
local core = require "secateur.core"

local batch_budget = {}

--- The most bytes that values and gradients of one run may take, where more than one row is run. More rows at a time
-- than fit are hardly faster.
batch_budget.budget = 512 << 20

--- Makes core's Gradients for at most `most` rows at a time, fewer where those would not fit the budget.
-- @tparam Graph graph
-- @int most
-- @tab opts those of core.gradients besides `batch`
-- @treturn Gradients
function batch_budget.gradients(graph, most, opts)
  local request = { batch = 1 }
  for key, value in pairs(opts) do request[key] = value end
  local native = core.gradients(graph, request)
  local rows = math.min(most, batch_budget.budget // math.max(1, (native:memory())))
  if rows <= 1 then return native end
  native:close()
  request.batch = rows
  return core.gradients(graph, request)
end

return batch_budget
