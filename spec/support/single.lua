--- Graphs of one operation, filled with numbers that suit finite differences.
--
-- A case is `{op =, inputs = list of shapes of one sample, attrs =, training =, index =}`; `index`: what the parameter
-- "index" of the operation holds. One of the inputs is the graph's
-- input `x`, the others are parameters `p1`, `p2`, …; the operation is node `n`.
local single = {}

--- How many numbers a shape holds.
function single.count(shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return n
end

-- The nearest float, so that both builds start from the same number.
local function rounded(value) return (string.unpack("<f", string.pack("<f", value))) end

--- n numbers in (-2, 2): a shuffled grid that misses 0, so that no two are equal and none is near a kink.
-- @tparam integer n how many
-- @tparam[opt=1] integer seed of the order
-- @treturn table the numbers
function single.numbers(n, seed)
  local list, state = {}, (seed or 1) * 7919 + 12345
  for i = 1, n do list[i] = rounded(-2 + 4 * (i - 0.5 + (n % 2) * 0.25) / n) end
  for i = n, 2, -1 do
    state = (state * 6364136223846793005 + 1442695040888963407)
    local j = (state >> 33) % i + 1
    list[i], list[j] = list[j], list[i]
  end
  return list
end

--- A flat list as a tensor.
function single.tensor(core, list, shape) return core.tensor(list):reshape(table.unpack(shape)) end

--- The elements of a tensor as a flat list, row-major.
function single.flat(tensor)
  return tensor:reshape(tensor:numel()):totable()
end

--- The batch's shape in front of a sample's.
function single.batched(batch, shape) return { batch, table.unpack(shape) } end

-- Parameters get numbers too; those that count or must be positive keep their meaning.
local function fill_parameters(core, graph)
  for i, p in ipairs(graph:parameters()) do
    if p.dtype ~= "int64" then
      local list = single.numbers(single.count(p.shape), 100 + i)
      for k = 1, #list do
        list[k] = p.name:find("running_var", 1, true) and math.abs(list[k]) + 0.5 or list[k] * 0.5
      end
      graph:set_parameter(p.name, single.tensor(core, list, p.shape))
    end
  end
end

--- A graph with the case's operation between its inputs.
-- @param core the native module, of either build
-- @tparam table case see above
-- @tparam[opt=1] integer live which input is the graph's
-- @treturn Graph the graph, its parameters filled
function single.graph(core, case, live)
  local graph, names = core.graph(), {}
  for i, shape in ipairs(case.inputs) do
    local is_live = i == (live or 1)
    names[i] = is_live and "x" or "p" .. i
    graph:add(is_live and "input" or "parameter", names[i], {}, { shape = shape })
  end
  graph:add(case.op, "n", names, case.attrs)
  fill_parameters(core, graph)
  if case.index then graph:set_parameter("n.index", core.tensor(case.index, "int64")) end
  return graph, names
end

--- Numbers for the graph's input.
function single.input(core, case, batch, live)
  local shape = single.batched(batch, case.inputs[live or 1])
  return single.tensor(core, single.numbers(single.count(shape), live), shape)
end

--- A plan over a graph that keeps what a check reads.
function single.plan(core, graph, case, batch)
  return core.plan(graph, { batch = batch, backward = true, params = true, training = case.training or false,
    keep_grads = { "x" } })
end

--- One run in the double build, for comparison with a replica.
-- @treturn table x, all elements of the first input
-- @treturn table y, all elements of the output
-- @treturn Graph the graph, whose parameters the replica may want
function single.run(core, case, batch)
  local graph = single.graph(core, case)
  local x = single.input(core, case, batch)
  local y = core.plan(graph, { batch = batch, training = case.training or false }):forward(x, 42)
  return single.flat(x), single.flat(y), graph, y:shape()
end

--- Raises unless two lists agree to `tolerance` times the largest magnitude of the second (at least 1).
function single.compare(what, got, expected, tolerance)
  if #got ~= #expected then error(("%s: %d numbers instead of %d"):format(what, #got, #expected), 2) end
  local largest = 1
  for _, value in ipairs(expected) do largest = math.max(largest, math.abs(value)) end
  for i, value in ipairs(expected) do
    local close = math.abs(got[i] - value) <= tolerance * largest
    if not close then -- also where one is not a number
      error(("%s: element %d of %d: expected %.12g, got %.12g"):format(what, i, #expected, value, got[i]), 2)
    end
  end
  return true
end

--- The message of the error that building the case raises.
function single.refusal(core, case)
  local ok, message = pcall(single.graph, core, case)
  return not ok and (message:gsub("^[%w_/.]+:%d+: ", "")) or nil
end

return single
