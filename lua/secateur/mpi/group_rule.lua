--- The rule of the option `group`, for secateur.util.options.
-- @module secateur.mpi.group_rule
local group = require "secateur.mpi.group"

return {
  check = function(value)
    return group.is(value), "a group of processes, as sc.mpi.group() gives it"
  end,
}
