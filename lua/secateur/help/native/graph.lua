--- Documentation of graphs and execution plans of the native core (csrc/lua/l_graph.c, l_plan.c).
--
-- There is no code here: `make doc` and `sc.help` read the comments; .ci/lint checks that no method is missing.
-- @module secateur.help.native.graph

--- A network as nodes and named parameters: `model.graph`, or `core.graph()`. Printed, it lists its nodes.
-- @type Graph
-- @usage
-- local core = require "secateur.core"
-- local graph = core.graph()
-- graph:add("input", "input", {}, { shape = { 4 } })
-- graph:add("linear", "head", { "input" }, { out = 2 })

--- Adds a node; shapes are checked now.
-- @function Graph:add
-- @string operation one of `core.operations()`, see `sc.help "operations"`
-- @string name
-- @tparam {string,...} inputs names of nodes
-- @tab[opt] attributes of the operation
-- @tab[opt] parameters where its parameters come from: `weight`, `bias`, `value`, `index` -> a table of `name`,
-- and `first` and `total`: rows from `first` of a parameter with `total` rows
-- @treturn string name

--- The node whose value is the result; sets it when given.
-- @function Graph:output
-- @string[opt] name
-- @treturn string

--- A graph with the same nodes that shares all parameters.
-- @function Graph:copy
-- @treturn Graph

--- A parameter's tensor, shared with the graph.
-- @function Graph:parameter
-- @string name
-- @treturn Tensor

--- Has the graph use a tensor from now on, shared.
-- @function Graph:set_parameter
-- @string name
-- @tparam Tensor tensor of the parameter's shape and type

--- Clones what is shared with other graphs or tensors, so that it can be changed in place.
-- @function Graph:own_parameters
-- @tab[opt] opts `except`: names of parameters that stay shared

--- All parameters.
-- @function Graph:parameters
-- @treturn {table,...} each `name`, `shape`, `trainable`, `dtype`

--- All nodes in order of computation.
-- @function Graph:nodes
-- @treturn {table,...} each `name`, `op`, `kind`, `attrs`, `inputs` (names), `params` (by number of the slot: `slot`,
-- `name`, `first`, `total`, `shape`), `shape` (of one sample), `macs` (per sample), `channels` ("produce", "keep",
-- "move", "mix") and `linearity` ("weighted", "fixed", "routing", "elementwise", "nonlinear", "source")

--- One node of those that `nodes` gives.
-- @function Graph:node
-- @string name
-- @treturn table|nil nil where no node has the name

--- Where the units of a node that produces units are further on.
-- @function Graph:unit_walk
-- @string name
-- @treturn {table,...} each `node`, `from`, `first`, `stride`, `count`, `step`, `axis` ("first" or "last"), `shared`:
-- unit u, from 1, is at first + (u - 1) * stride, counted from 1

--- One node, or nil where none has the name.
-- @function Graph:node
-- @string name
-- @treturn ?table as in `nodes`

--- A graph made ready to run: the order of steps, and one arena for all values. `core.plan(graph, opts)` makes it, with
-- `batch` (1: the most samples of a run), `backward`, `training`, `params` (gradients of parameters), `keep` and
-- `keep_grads` (names of nodes whose values or gradients can be asked for), `frozen` (names of parameters),
-- `repeatable` (false: several backward passes may follow one forward run), `given` (names of nodes whose values
-- `forward_from` is told, so that what is before them is not computed), `collect_statistics` (false; in training, what
-- norms take from a batch waits for `update_statistics`).
-- @type ExecutionPlan
-- @usage
-- local plan = core.plan(model.graph, { batch = 8, backward = true, keep_grads = { "input" } })
-- local logits = plan:forward(x)
-- plan:backward(sc.ones(8, 2))
-- print(plan:grad "input")

--- Runs the network.
-- @function ExecutionPlan:forward
-- @tparam Tensor x at most `batch` samples
-- @int[opt=0] seed of dropout
-- @treturn Tensor value of the output

--- Runs the rest of the graph from values of the nodes that the plan was made with as `given`; `value` reads what it
-- leaves.
-- @function ExecutionPlan:forward_from
-- @tparam table values node name -> Tensor [N x shape of the node]
-- @int[opt=0] seed of dropout, in training

--- Gradients from that of the output; a forward run must have come before.
-- @function ExecutionPlan:backward
-- @tparam Tensor output_grad
-- @bool[opt=false] accumulate adds to the gradients of parameters instead of starting anew

--- A copy of a node's value.
-- @function ExecutionPlan:value
-- @string node named in `keep`
-- @treturn Tensor

--- A copy of the gradient at a node.
-- @function ExecutionPlan:grad
-- @string node named in `keep_grads`
-- @treturn Tensor

--- The gradient of a parameter, shared with the plan.
-- @function ExecutionPlan:param_grad
-- @string parameter
-- @treturn Tensor

--- The gradients of all parameters as one vector over the plan's storage; between parameters there may be zeros.
-- @function ExecutionPlan:gradients
-- @treturn ?Tensor nil where the plan has none

--- Adds to the gradients of all parameters: those of another piece of the batch.
-- @function ExecutionPlan:add_gradients
-- @tparam Tensor gradients a vector as `gradients` gives it

--- Sets the gradients of all parameters to zero.
-- @function ExecutionPlan:clear_gradients

--- What the norms took from the batch of the last forward run, of a plan made with `collect_statistics`: of each the
-- means, then the biased variances, over the plan's storage.
-- @function ExecutionPlan:statistics
-- @treturn ?Tensor nil where the plan collects none, or no norm takes any

--- Updates the running averages of the norms as a forward run of such a batch would have.
-- @function ExecutionPlan:update_statistics
-- @tparam Tensor statistics a vector as `statistics` gives it
-- @int samples of the batch

--- Memory of the plan.
-- @function ExecutionPlan:memory
-- @treturn int bytes of the arena
-- @treturn int bytes of scratch

--- Runs forward and measures every step.
-- @function ExecutionPlan:profile
-- @tparam Tensor x
-- @treturn {number,...} seconds, in the order of `steps`

--- The steps of a run.
-- @function ExecutionPlan:steps
-- @treturn {table,...} each `kind` ("forward", "recompute", "backward") and `nodes`, names that are computed as one

--- Frees the memory now.
-- @function ExecutionPlan:close
