--- Documentation of what pruning estimates natively (csrc/lua/l_covariance.c).
--
-- There is no code here: `make doc` and `sc.help` read the comments; .ci/lint checks that no method is missing.
-- @module secateur.help.native.pruning

--- Means and centred covariances of the units of a node, over many images: `core.covariance(units)`. A row is the
-- values of all units at one position of one image. Nothing depends on how images are batched.
-- @type Covariance
-- @usage
-- local core = require "secateur.core"
-- local covariance = core.covariance(3)
-- covariance:add_rows(core.randn(50, 3, { seed = 1 }))
-- print(covariance:means()[1], covariance:variances()[1])

--- Adds the values of a node in the last run of a plan. Units are the channels of maps, or features: the last dimension
-- of tokens.
-- @function Covariance:add
-- @tparam ExecutionPlan plan that keeps the node
-- @string node
-- @tab[opt] opts `positions` (all: how many of each image), `seed` (0: which)

--- Adds rows.
-- @function Covariance:add_rows
-- @tparam Tensor x [N x units]

--- What has been added.
-- @function Covariance:count
-- @treturn int rows
-- @treturn int images

--- The mean of each unit.
-- @function Covariance:means
-- @treturn {number,...}

--- The variance of each unit, divided by the number of rows.
-- @function Covariance:variances
-- @treturn {number,...}

--- The covariance matrix.
-- @function Covariance:matrix
-- @treturn {{number,...},...} rows

--- Removes units one at a time, each time the one whose removal adds least to the weighted sum of the residual
-- variances of the removed units, each predicted from those that are left.
-- @function Covariance:redundancy
-- @tparam {number,...} weights of the units' residual variances, none negative
-- @number ridge this share of the mean variance is added to the diagonal
-- @treturn {int,...} units in the order of removal
-- @treturn {number,...} what each removal adds

--- Frees the memory now.
-- @function Covariance:close
