--- Documentation of the optimisers of the native core (csrc/lua/l_optimiser.c, l_ema.c).
--
-- There is no code here: `make doc` and `sc.help` read the comments; .ci/lint checks that no method is missing.
-- @module secateur.help.native.training

--- Adam, AdamW or SGD, step for step as PyTorch's: `core.optimiser(graph, opts)`, with `kind` ("adam"), `beta1` (0.9),
-- `beta2` (0.999), `eps` (1e-8), `momentum` (0.9), `nesterov` (false), `weight_decay` (0), `parameters` (name ->
-- `{lr_scale =, weight_decay =}`), `frozen` (names) and `masked` (node -> units whose weights stay zero).
-- @type Optimiser

--- Changes all trained parameters along the gradients of a plan.
-- @function Optimiser:step
-- @tparam ExecutionPlan plan
-- @number lr learning rate
-- @number[opt=1] scale of the gradients

--- The L2 norm of all gradients that count.
-- @function Optimiser:gradient_norm
-- @tparam ExecutionPlan plan
-- @treturn number

--- The state, to be stored; later steps change copies.
-- @function Optimiser:state
-- @treturn table "m/NAME", "v/NAME", "momentum/NAME" -> Tensor, and "steps"

--- Takes back what `state` gave; all or none.
-- @function Optimiser:load
-- @tab state

--- Frees the memory now.
-- @function Optimiser:close

--- The exponential moving average of a graph's parameters: `core.ema(graph, opts)`, with `fixed`, names of parameters
-- that never change.
-- @type Ema

--- A step towards what the parameters are now.
-- @function Ema:update
-- @number decay 0 goes all the way

--- The averages; later updates change copies.
-- @function Ema:state
-- @treturn table parameter name -> Tensor

--- Takes back what `state` gave; all or none.
-- @function Ema:load
-- @tab state

--- Frees the memory now.
-- @function Ema:close
