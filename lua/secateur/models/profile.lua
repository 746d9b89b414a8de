--- Where the time of a forward run goes, step by step.
-- @module secateur.models.profile
local text_table = require "secateur.util.text_table"
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"

local profile = {}

--- What `model:profile` gives. Printed, it is a table of the steps and their sum.
-- @type Profile
-- @field rows the steps in the order of a run: `name` (of the first node), `op` (of all nodes computed in one step,
--   "conv2d + batch_norm2d + relu"), `ms` (the median of the runs), `gflops` (billions of operations: two per
--   multiply-add of plain products, however they are computed), `bytes` (inputs and parameters read, output written);
--   all for the batch
-- @field batch number of samples
-- @field repeats number of runs
-- @field ms of all steps
-- @field gflops of all steps
local Profile = {}
Profile.__index = Profile
Profile.__name = "Profile"

local item_bytes = { float32 = 4, float64 = 8 }

local function count_bytes(shape, dtype)
  local bytes = item_bytes[dtype] or 0 -- counters of batch norms are not read
  for _, size in ipairs(shape) do bytes = bytes * size end
  return bytes
end

-- What the nodes of a step read and write, and what they compute, for one sample; parameters are read once per batch.
local function cost_of(graph, step, dtypes, dtype, batch)
  local seen, bytes, macs = {}, 0, 0
  for k, name in ipairs(step.nodes) do
    local node = graph:node(name)
    for _, input in ipairs(node.inputs) do
      if input ~= step.nodes[k - 1] and not seen[input] then
        bytes = bytes + batch * count_bytes(graph:node(input).shape, dtype)
        seen[input] = true
      end
    end
    for _, param in pairs(node.params) do bytes = bytes + count_bytes(param.shape, dtypes[param.name]) end
    macs = macs + batch * node.macs
  end
  return bytes + batch * count_bytes(graph:node(step.nodes[#step.nodes]).shape, dtype), macs
end

-- The steps with their operations and costs; not those of the input, which is there already.
local function rows_of(graph, steps, dtype, batch)
  local dtypes, rows = {}, {}
  for _, parameter in ipairs(graph:parameters()) do dtypes[parameter.name] = parameter.dtype end
  for s, step in ipairs(steps) do
    local ops = {}
    for k, name in ipairs(step.nodes) do ops[k] = graph:node(name).op end
    if ops[1] ~= "input" then
      local bytes, macs = cost_of(graph, step, dtypes, dtype, batch)
      rows[#rows + 1] = { step = s, name = step.nodes[1], op = table.concat(ops, " + "), gflops = 2 * macs / 1e9,
        bytes = bytes }
    end
  end
  return rows
end

local function median(list)
  table.sort(list)
  local middle = (#list + 1) // 2
  return (list[middle] + list[#list + 1 - middle]) / 2
end

--- Measures the steps of a plan for inference.
-- @tparam Graph graph
-- @tparam ExecutionPlan plan
-- @tparam Tensor x
-- @int repeats
-- @treturn Profile
function profile.measure(graph, execution_plan, x, repeats)
  local self = setmetatable({ batch = x:size(1), repeats = repeats, ms = 0, gflops = 0 }, Profile)
  self.rows = rows_of(graph, execution_plan:steps(), x:dtype(), self.batch)
  local runs = {}
  execution_plan:profile(x) -- the first run also fetches weights and buffers from afar
  for r = 1, repeats do runs[r] = execution_plan:profile(x) end
  for _, row in ipairs(self.rows) do
    local times = {}
    for r, run in ipairs(runs) do times[r] = 1e3 * run[row.step] end
    row.ms, row.step = median(times), nil
    self.ms, self.gflops = self.ms + row.ms, self.gflops + row.gflops
  end
  return self
end

local names = { "name", "op", "ms", "gflops", "bytes" }

--- Writes the rows as CSV.
-- @string path
function Profile:csv(path)
  path = options.value("csv", "path", path, { type = "string", required = true })
  local written, message = csv.write_records(path, names, self.rows)
  if not written then errors.refuse("csv", message) end
end

local function cells_of(row, whole)
  local rate = row.gflops > 0 and row.ms > 0 and ("%.1f"):format(1e3 * row.gflops / row.ms) or ""
  return { row.name, row.op, ("%.3f"):format(row.ms), ("%.1f%%"):format(whole > 0 and 100 * row.ms / whole or 0),
    row.gflops > 0 and ("%.3f"):format(row.gflops) or "", rate, ("%.2f"):format(row.bytes / 1e6) }
end

function Profile:__tostring()
  local lines = { { "step", "operations", "ms", "time", "GFLOP", "GFLOP/s", "MB" } }
  local total = { name = "total", op = "", ms = self.ms, gflops = self.gflops, bytes = 0 }
  for i, row in ipairs(self.rows) do
    lines[i + 1] = cells_of(row, self.ms)
    total.bytes = total.bytes + row.bytes
  end
  lines[#lines + 1] = cells_of(total, self.ms)
  return ("%s\nbatch of %d, median of %d runs: %.3f ms per image, %.1f images/s"):format(text_table.format(lines, 2),
    self.batch, self.repeats, self.ms / self.batch, self.ms > 0 and 1e3 * self.batch / self.ms or 0)
end

methods.guard(Profile)

return profile
