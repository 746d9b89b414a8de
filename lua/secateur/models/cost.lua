--- What a model costs: numbers held and computed, bytes on disk and in memory, time.
--
-- The module is the verb itself, `cost(model, opts)`, and what others measure with.
-- @module secateur.models.cost
local core = require "secateur.core"
local layers = require "secateur.models.layers"
local model_class = require "secateur.models.model"
local model_file = require "secateur.models.model_file"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local tensors = require "secateur.util.tensors"
local text_table = require "secateur.util.text_table"

local cost = {}

-- How often a run is timed where nobody said so: this often at least, and for this many seconds, since the time of a
-- short run varies more; but not endlessly.
local LEAST_RUNS, LEAST_SECONDS, MOST_RUNS = 5, 0.3, 200

-- ---- text ----

local function scaled(value, unit)
  for _, scale in ipairs { { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } } do
    if value >= scale[1] then return ("%.4g %s%s"):format(value / scale[1], scale[2], unit) end
  end
  return ("%.4g %s"):format(value, unit)
end

local function milliseconds(value) return ("%.4g ms"):format(value) end

-- What is shown, in order: heading, the value in a Cost, its text.
local function lines_of(self)
  local lines = { { "parameters", self.parameters, function(value) return scaled(value, "") end },
    { "multiply-adds", self.macs, function(value) return scaled(value, "") end },
    { "file", self.bytes, function(value) return scaled(value, "B") end } }
  for _, batch in ipairs(options.sorted_keys(self.peak_bytes)) do
    lines[#lines + 1] = { "memory, batch " .. batch, self.peak_bytes[batch], function(value)
      return scaled(value, "B")
    end }
  end
  for _, batch in ipairs(options.sorted_keys(self.latency or {})) do
    lines[#lines + 1] = { "time, batch " .. batch, self.latency[batch], milliseconds }
  end
  return lines
end

--- What `cost` gives: plain numbers, and a text.
-- @type Cost
-- @field parameters trainable numbers
-- @field macs multiply-adds of one sample
-- @field bytes of the file that `model:save` writes
-- @field latency size of a batch -> median milliseconds of a forward run of the whole batch; nil where not measured
-- @field peak_bytes size of a batch -> most bytes of native memory that a forward run needs: parameters, the weights
--   packed for the kernels, values, scratch memory and the logits, without the images
-- @field threads how many threads ran
local Cost = { __name = "Cost" }
Cost.__index = Cost

function Cost:__tostring()
  local cells = {}
  for i, line in ipairs(lines_of(self)) do cells[i] = { line[1], (line[3](line[2]):gsub(" $", "")) } end
  return text_table.format(cells)
end

local CostComparison = { __name = "CostComparison" }
CostComparison.__index = CostComparison

local function divide(a, b)
  if type(a) == "table" then
    local shares = {}
    for key, value in pairs(a) do shares[key] = b[key] and divide(value, b[key]) end
    return shares
  end
  return a == b and 1 or a / b
end

--- One cost as shares of another's.
-- @tparam Cost dense what a share of 1 is, such as the unpruned model's
-- @tparam[opt] {string,string} headings of the printed columns ({"before", "after"}): `dense`, then this one
-- @treturn table the fields of a Cost as shares (`latency` where both have it); printed, a table of both and the shares
-- @usage
-- local shares = sc.cost(compact):relative(sc.cost(model))
-- print(shares, shares.macs, shares.latency[1])
function Cost:relative(dense, headings)
  options.value("relative", "dense", dense, { type = "table", required = true, check = function(value)
    return getmetatable(value) == Cost, "a Cost"
  end })
  headings = options.value("relative", "headings", headings, { type = "list", least = 2,
    default = { "before", "after" } })
  local both = self.latency and dense.latency
  return setmetatable({ parameters = divide(self.parameters, dense.parameters), macs = divide(self.macs, dense.macs),
    bytes = divide(self.bytes, dense.bytes), latency = both and divide(self.latency, dense.latency),
    peak_bytes = divide(self.peak_bytes, dense.peak_bytes), after = self, before = dense, headings = headings },
    CostComparison)
end

function CostComparison:__tostring()
  local before, cells = {}, { { "", self.headings[1], self.headings[2], "share" } }
  for _, line in ipairs(lines_of(self.before)) do before[line[1]] = line[2] end
  for _, line in ipairs(lines_of(self.after)) do
    local name, value, text = table.unpack(line)
    local was = before[name]
    cells[#cells + 1] = { name, was and (text(was):gsub(" $", "")) or "-", (text(value):gsub(" $", "")),
      was and ("%.1f%%"):format(100 * divide(value, was)) or "-" }
  end
  return text_table.format(cells)
end

-- ---- measuring ----

local function median(list)
  table.sort(list)
  local middle = (#list + 1) // 2
  return (list[middle] + list[#list + 1 - middle]) / 2
end

-- Any images do: how long a run takes does not depend on what it computes.
local function images(graph, batch)
  local shape
  for _, node in ipairs(graph:nodes()) do shape = node.op == "input" and node.shape or shape end
  local sizes = table.move(shape, 1, #shape, 2, { batch })
  sizes[#sizes + 1] = { seed = 0 }
  return core.randn(table.unpack(sizes))
end

-- Runs the plans in turns, so that what else the machine does meets all alike; gives the median milliseconds of each.
local function time_plans(plans, x, repeats)
  local times, total, runs = {}, 0, 0
  for i in ipairs(plans) do times[i] = {} end
  repeat
    for i, plan in ipairs(plans) do
      local started = core.clock()
      plan:forward(x)
      local seconds = core.clock() - started
      table.insert(times[i], 1e3 * seconds)
      total = total + seconds
    end
    runs = runs + 1
    local enough = runs >= LEAST_RUNS and total >= LEAST_SECONDS * #plans or runs >= MOST_RUNS
  until runs == repeats or not repeats and enough
  for i, list in ipairs(times) do times[i] = median(list) end
  return times
end

--- Times several graphs of the same input shape, in turns, after a run that is not counted.
-- @tparam {Graph,...} graphs
-- @int batch
-- @int[opt] repeats by default as many as it takes
-- @treturn {number,...} milliseconds of a forward run of each, the median
function cost.latencies(graphs, batch, repeats)
  local plans, x = {}, images(graphs[1], batch)
  for i, graph in ipairs(graphs) do
    plans[i] = core.plan(graph, { batch = batch })
    plans[i]:forward(x)
  end
  local times = time_plans(plans, x, repeats)
  for _, plan in ipairs(plans) do plan:close() end
  return times
end

local function parameter_bytes(graph)
  local bytes = 0
  for _, parameter in ipairs(graph:parameters()) do
    bytes = bytes + tensors.element_bytes[parameter.dtype] * tensors.numel(parameter.shape)
  end
  return bytes
end

-- Memory and time of one size of batch. What others left to the collector would be freed in between and hide what is
-- taken here, so it goes first.
local function run(graph, batch, opts)
  collectgarbage()
  collectgarbage()
  local x = images(graph, batch)
  local before = core.memory(true)
  local plan = core.plan(graph, { batch = batch })
  plan:forward(x)
  local _, peak = core.memory()
  local time = opts.latency and time_plans({ plan }, x, opts.repeats)[1]
  plan:close()
  return peak - before + parameter_bytes(graph), time
end

local rules = {
  batches = { type = "list", least = 1, default = { 1, 16 }, check = function(list)
    for _, batch in ipairs(list) do
      if not (math.type(batch) and math.tointeger(batch) and batch >= 1 and batch <= 1 << 20) then
        return false, "whole numbers of at least 1"
      end
    end
    return true
  end },
  repeats = { type = "integer", min = 1 },
  latency = { type = "boolean", default = true },
  threads = { type = "integer", min = 1, max = 1024 },
}

-- Gives back the number of threads that there was, also after an error.
local Restore = { __close = function(self) core.threads(self.threads) end }

--- What a model costs to keep and to run: parameters, multiply-adds, the size of its file, memory and time. Masked
-- units cost what they cost before; see `compact`.
--
-- Times are medians of forward runs in inference mode on random images, after a run that is not counted: real ones
-- take as long. They vary with what else the machine does, everything else does not. Memory is counted from nothing,
-- and the peak of `core.memory` begins anew. Each thread has scratch memory of its own: figures of machines with
-- different numbers of cores compare where `threads` is the same.
-- @tparam Model model
-- @tab[opt] opts `batches` ({1, 16}): sizes of batches; `repeats`: runs that are timed (by default 5 or more, until 0.3
--   seconds have passed); `latency` (true): false leaves the times out; `threads` (as many as there are, see
--   `threads`): how many run
-- @treturn Cost `parameters`, `macs`, `bytes`, `peak_bytes` and `latency` by size of batch; `relative(other)` gives
--   shares; printed, a table
-- @usage
-- local before = sc.cost(model)
-- print(before, before.latency[16] / 16)              -- milliseconds per image
-- print(sc.cost(sc.compact(pruned)):relative(before))  -- before, after, share
local function measure(_, model, opts)
  model_class.check("cost", model)
  local checked = options.check("cost", opts, rules)
  local _ <close> = setmetatable({ threads = core.threads() }, Restore)
  if checked.threads then core.threads(checked.threads) end
  local self = { peak_bytes = {}, latency = checked.latency and {} or nil, threads = core.threads() }
  self.parameters, self.macs = layers.totals(model)
  self.bytes = model_file.file_size(model)
  model:release() -- one arena at a time
  for _, batch in ipairs(checked.batches) do
    local time
    batch = math.tointeger(batch)
    self.peak_bytes[batch], time = run(model.graph, batch, checked)
    if time then self.latency[batch] = time end
  end
  return setmetatable(self, Cost)
end

methods.guard(Cost)

return setmetatable(cost, { __call = measure })
