--- Documentation of relevance propagation and gradients in the native core (csrc/lua/l_attribution.c, l_gradient.c).
--
-- There is no code here: `make doc` and `sc.help` read the comments; .ci/lint checks that no method is missing.
-- @module secateur.help.native.attribution

--- Relevance propagation through a graph: `core.relevance(graph, opts)`, with `batch`, `rules` (node name -> rule, see
-- `sc.help "rules"`; every node needs one), `keep` (nodes whose relevance can be asked for), `sums` (nodes whose
-- relevance is wanted by unit), `exact` (false) and `second_relevance` (false: two relevances travel).
-- @type Relevance

--- Runs the network.
-- @function Relevance:forward
-- @tparam Tensor x
-- @treturn Tensor value of the output

--- Propagates relevance from the output to the input.
-- @function Relevance:backward
-- @tparam Tensor output_relevance
-- @tparam[opt] Tensor second where the second relevance starts

--- A copy of the relevance at a node.
-- @function Relevance:relevance
-- @string node named in `keep`, or a source
-- @bool[opt=false] second
-- @treturn Tensor

--- Relevance by unit, summed over positions.
-- @function Relevance:sums
-- @string node named in `sums`
-- @bool[opt=false] second
-- @treturn Tensor [n x units]

--- Frees the memory now.
-- @function Relevance:close

--- Sums of gradients over one run or many per sample: `core.gradients(graph, opts)`, with `batch`, `nodes`, `quantity`
-- ("gradient", "product", "conductance"), `units` (false) and `guided` (false).
-- @type Gradients

--- Runs the network on any number of rows.
-- @function Gradients:forward
-- @tparam Tensor x
-- @treturn Tensor value of the output

--- Gradients along the straight path from a baseline: Integrated Gradients and conductance.
-- @function Gradients:along
-- @tparam Tensor x
-- @tparam Tensor baseline
-- @tparam Tensor output_grad
-- @tab points alpha, weight and whether it takes part at nodes, for each point in turn
-- @bool[opt=true] input
-- @treturn ?Tensor at the input, like x
-- @treturn table node -> Tensor

--- The mean over noisy copies of each sample; by default the gradient itself.
-- @function Gradients:around
-- @tparam Tensor x
-- @tparam Tensor output_grad
-- @tab[opt] opts `samples` (1), `noise_level` (0), `seed` (0), `first` (1: the number of the first sample), `input`
-- (true)
-- @treturn ?Tensor at the input, like x
-- @treturn table node -> Tensor

--- Memory in use.
-- @function Gradients:memory
-- @treturn int bytes of values, gradients and inputs of a batch
-- @treturn int bytes of scratch

--- Frees the memory now.
-- @function Gradients:close
