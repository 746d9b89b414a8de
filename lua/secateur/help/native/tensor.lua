--- Documentation of the tensors of the native core (csrc/lua/l_tensor.c, l_tensor_math.c, l_tensor_order.c).
--
-- There is no code here: `make doc` and `sc.help` read the comments; .ci/lint checks that no method is missing.
-- @module secateur.help.native.tensor

--- How many threads the loops and matrix products use; sets it when given.
-- @function threads
-- @int[opt] n
-- @treturn int
-- @usage
-- sc.threads(2)
-- print(sc.threads())

--- Seconds since some moment, which never go backwards: to see how long something takes.
-- @function clock
-- @treturn number
-- @usage
-- local started = sc.clock()
-- model:forward(x)
-- print(("%.1f ms"):format(1e3 * (sc.clock() - started)))

--- The level of vector instructions in use: "avx512", "avx2" or "portable". Results are the same bits in all of them.
-- `SECATEUR_CPU=level` in the environment forces a lower one.
-- @function cpu
-- @usage
-- print(sc.cpu)

--- A tensor of the numbers in nested tables, or of one number everywhere.
-- @function tensor
-- @tab values nested tables, of one length per level; or sizes and `fill`
-- @string[opt="float32"] dtype "float32", "int64" or "uint8"
-- @treturn Tensor
-- @usage
-- local x = sc.tensor { { 1, 2 }, { 3, 4 } }
-- local labels = sc.tensor({ 1, 2, 2 }, "int64")
-- local half = sc.tensor { 2, 3, fill = 0.5 }

--- A tensor of zeros.
-- @function zeros
-- @int ... sizes, and optionally a table with `dtype`
-- @treturn Tensor
-- @usage
-- local x = sc.zeros(8, 3, 224, 224)

--- A tensor of ones.
-- @function ones
-- @int ... sizes, and optionally a table with `dtype`
-- @treturn Tensor
-- @usage
-- local x = sc.ones(2, 3, { dtype = "int64" })

--- A tensor with one number everywhere.
-- @function full
-- @int ... sizes
-- @number value the last argument
-- @treturn Tensor
-- @usage
-- local x = sc.full(2, 3, 0.5)

--- Normal random numbers. The same seed gives the same bits on every machine.
-- @function randn
-- @int ... sizes, and optionally a table: `seed` (0), `mean` (0), `std` (1), `truncate` (none: numbers further than so
--   many standard deviations from the mean are drawn again)
-- @treturn Tensor
-- @usage
-- local x = sc.randn(4, 3, 32, 32, { seed = 7 })

--- Uniform random numbers in [low, high).
-- @function rand
-- @int ... sizes, and optionally a table: `seed` (0), `low` (0), `high` (1)
-- @treturn Tensor
-- @usage
-- local x = sc.rand(10, { low = -1 })

--- Writes an image as PNG.
-- @function image_save
-- @string path
-- @tparam Tensor image [H x W], [1 x H x W] or [3 x H x W]: real in 0..1 (clamped), or uint8
-- @usage
-- sc.save_image("heatmap.png", sc.heatmap(result.input[1]))

--- An array of numbers: "float32", "int64" or "uint8", of up to five dimensions, row-major.
--
-- `t[i]` is the element of a vector, else a view of row i, so that `ipairs` goes over rows; `#t` is the first size.
-- `+ - * /` and the unary minus work element by element, with numbers and with tensors of broadcastable shapes (as
-- NumPy's); they make new tensors. Views and reshaped tensors share their numbers with the original. Printed, a tensor
-- shows its shape, type and numbers. Indices count from 1.
-- @type Tensor
-- @usage
-- local x = sc.tensor { { 1, 2 }, { 3, 4 } }
-- print(x, x * 2 + 1, x[1][2], #x, x:sum(), x:mean(1))

--- An element.
-- @function Tensor:get
-- @int ... an index per dimension
-- @treturn number
-- @usage
-- x:get(1, 2)

--- Sets an element.
-- @function Tensor:set
-- @number value
-- @int ... an index per dimension
-- @treturn Tensor itself
-- @usage
-- x:set(0.5, 1, 2)

--- Sets all elements.
-- @function Tensor:fill
-- @number value
-- @treturn Tensor itself

--- The sizes as a list, which prints as "[2x3]".
-- @function Tensor:shape
-- @treturn {int,...}

--- One of the sizes.
-- @function Tensor:size
-- @int dimension
-- @treturn int

--- How many elements there are.
-- @function Tensor:numel
-- @treturn int

--- The type of the elements: "float32", "int64" or "uint8".
-- @function Tensor:dtype
-- @treturn string

--- A copy with numbers of its own.
-- @function Tensor:clone
-- @treturn Tensor

--- Takes over the elements of another tensor.
-- @function Tensor:copy
-- @tparam Tensor from of the same shape and type
-- @treturn Tensor itself

--- The same numbers in another shape, shared.
-- @function Tensor:reshape
-- @int ... sizes, or a list of them; one may be -1: what is left
-- @treturn Tensor
-- @usage
-- x:reshape(2, -1)

--- Rows of the first dimension, shared.
-- @function Tensor:view
-- @int first
-- @int[opt] last by default the first
-- @treturn Tensor
-- @usage
-- local half = x:view(1, #x // 2)

--- The numbers as nested tables.
-- @function Tensor:totable
-- @treturn table

--- Frees the memory now rather than when it is collected; the tensor is then closed.
-- @function Tensor:close

--- Sum with a number or a tensor, as `+`.
-- @function Tensor:add
-- @param other a number or a Tensor of a broadcastable shape
-- @treturn Tensor

--- Difference, as `-`.
-- @function Tensor:sub
-- @param other a number or a Tensor of a broadcastable shape
-- @treturn Tensor

--- Product element by element, as `*`.
-- @function Tensor:mul
-- @param other a number or a Tensor of a broadcastable shape
-- @treturn Tensor

--- Quotient element by element, as `/`.
-- @function Tensor:div
-- @param other a number or a Tensor of a broadcastable shape
-- @treturn Tensor

--- Magnitudes.
-- @function Tensor:abs
-- @treturn Tensor

--- Elements cut to a range; NaN stays NaN.
-- @function Tensor:clamp
-- @number[opt] low
-- @number[opt] high
-- @treturn Tensor

--- Natural logarithm of every element.
-- @function Tensor:log
-- @treturn Tensor

--- Exponential of every element.
-- @function Tensor:exp
-- @treturn Tensor

--- Square root of every element.
-- @function Tensor:sqrt
-- @treturn Tensor

--- Sum of all elements, or along a dimension, which is then gone.
-- @function Tensor:sum
-- @int[opt] dimension
-- @return a number, or a Tensor
-- @usage
-- x:sum()      -- a number
-- x:sum(1)     -- Tensor: of all rows

--- Mean of all elements, or along a dimension, which is then gone.
-- @function Tensor:mean
-- @int[opt] dimension
-- @return a number, or a Tensor

--- Largest of all elements, or along a dimension, which is then gone.
-- @function Tensor:max
-- @int[opt] dimension
-- @return a number, or a Tensor

--- Where the largest element along a dimension stands, counted from 1; the first of several.
-- @function Tensor:argmax
-- @int dimension
-- @treturn Tensor int64
-- @usage
-- local classes = model:forward(x):argmax(2)

--- Matrix product of [m x k] and [k x n].
-- @function Tensor:matmul
-- @tparam Tensor other
-- @treturn Tensor [m x n]
-- @usage
-- print(sc.tensor({ { 1, 2 } }):matmul(sc.tensor { { 3 }, { 4 } }))

--- Whether |a - b| <= atol + rtol |b| everywhere. NaN is close to nothing, infinity to itself.
-- @function Tensor:allclose
-- @tparam Tensor other
-- @number[opt=1e-5] rtol
-- @number[opt=1e-8] atol
-- @treturn boolean

--- The indices that sort along a dimension; equal elements keep their order, NaN is last.
-- @function Tensor:argsort
-- @int dimension
-- @bool[opt=false] descending
-- @treturn Tensor int64

--- Ranks along a dimension, 1 for the smallest.
-- @function Tensor:rank
-- @int dimension
-- @string[opt="average"] ties "average": equal elements share their mean rank; "first": they rank in their order
-- @treturn Tensor

--- Slices of a dimension, in the order of their indices.
-- @function Tensor:take
-- @int dimension
-- @param indices a list or an int64 Tensor
-- @treturn Tensor
-- @usage
-- local first_and_third = x:take(1, { 1, 3 })

--- Sums the slices of a dimension by group.
-- @function Tensor:sum_groups
-- @int dimension
-- @param groups a group per slice, from 1: a list or an int64 Tensor
-- @int count how many groups there are
-- @treturn Tensor with `count` slices in that dimension
