--- The option `workers` of sweeps: whether several processes share the work, and how.
-- @module secateur.experiments.workers
local mpi = require "secateur.mpi"
local options = require "secateur.util.options"

local workers = {}

local words = { one_of = { "mpi", "none" } }
local rules = {
  root = { type = "boolean", default = true },
  ahead = { type = "integer", min = 0, default = 1 },
  models = { type = "integer", min = 1, default = 2 },
}

--- The group of processes that share a sweep, and how they do it.
-- @param value of the option: "mpi", "none", a table of `root`, `ahead`, `models` (see `schedule.new`), or nil
-- @treturn[1] Group of more than one
-- @treturn[1] table `root`, `ahead`, `models`
-- @treturn[2] nil where this process does it all
function workers.read(value)
  local how = type(value) == "table" and value or {}
  how = options.check("sweep: workers", how, rules)
  if type(value) ~= "table" then
    value = options.value("sweep", "workers", value, words) or (mpi.launched() and "mpi" or "none")
  end
  if value == "none" then return nil end
  local group = mpi.group()
  if group.size == 1 then return nil end
  return group, how
end

return workers
