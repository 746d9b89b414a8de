--- Strategies of sampling side by side: how much worse than the unpruned model each leaves it, and how much worse than
-- a reference strategy, paired by seed.
-- @module secateur.report.strategies
local intervals = require "secateur.results.intervals"
local names = require "secateur.report.names"

local strategies = {}

local block_axes = { "dataset", "model", "method", "redundancy", "repair" }

local function block_of(row)
  local words = {}
  for i, axis in ipairs(block_axes) do words[i] = tostring(row[axis]) end
  return table.concat(words, "\0")
end

-- sampling → rate → seed → block → change for the worse; how many blocks there are; the rates above 0, the seeds.
local function changes_of(rows, metric)
  local found, blocks, count = {}, {}, 0
  for _, row in ipairs(rows) do
    local change = row.rate > 0 and metric:change(row)
    if change then
      local block = block_of(row)
      if not blocks[block] then blocks[block], count = true, count + 1 end
      local at = found
      for _, key in ipairs { row.sampling, row.rate, row.seed } do
        at[key] = at[key] or {}
        at = at[key]
      end
      at[block] = change
    end
  end
  return found, count
end

local function mean_of(list)
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return sum / #list
end

-- The mean over all blocks of a seed; nil where one is missing.
local function seed_mean(of_seed, count)
  local sum, found = 0, 0
  for _, change in pairs(of_seed or {}) do sum, found = sum + change, found + 1 end
  return found == count and found > 0 and sum / found or nil
end

-- Means by rate and seed, and by seed over all rates where none is missing.
local function by_seed(of_sampling, rates, seeds, count)
  local means, over_rates = {}, {}
  for i, rate in ipairs(rates) do
    means[i] = {}
    for _, seed in ipairs(seeds) do means[i][seed] = seed_mean(((of_sampling or {})[rate] or {})[seed], count) end
  end
  for _, seed in ipairs(seeds) do
    local list = {}
    for i in ipairs(rates) do list[#list + 1] = means[i][seed] end
    if #list == #rates and #rates > 0 then over_rates[seed] = mean_of(list) end
  end
  means[#rates + 1] = over_rates
  return means
end

-- A summary over seeds of means, or of their differences to others.
local function summary(means, seeds, others)
  local values = {}
  for _, seed in ipairs(seeds) do
    local value = means[seed]
    if value and others then value = others[seed] and value - others[seed] end
    if value then values[#values + 1] = value end
  end
  return intervals.summary(values)
end

-- How often a sampling is better than the reference, at the same rate, seed and block.
local function count_wins(one, other)
  local wins, ties, total = 0, 0, 0
  for rate, seeds in pairs(one or {}) do
    for seed, blocks in pairs(seeds) do
      for block, change in pairs(blocks) do
        local against = ((other or {})[rate] or {})[seed]
        against = against and against[block]
        if against then
          total = total + 1
          if math.abs(change - against) < 1e-9 then
            ties = ties + 1
          elseif change < against then
            wins = wins + 1
          end
        end
      end
    end
  end
  return { wins = wins, ties = ties, total = total }
end

--- Compares the samplings of some rows. A seed counts where every data set, model and way of scoring has been measured
-- with it, so that no mean is of other things than its neighbour.
-- @tab rows Results
-- @tab metric what `metrics.of` gives
-- @string[opt] reference the sampling that others are compared to: "random" where it is there, else the first
-- @treturn[1] table `metric`, `reference`, `rates`, `seeds` (how many), `blocks` (how many data sets × models × ways of
-- scoring), `lines`: of each sampling, best first, `{sampling=, changes = {…}, differences = {…}, wins=}`: summaries as
-- `intervals.summary` gives them (or false) at each rate and at last over all rates
-- @treturn[2] nil where there are not two samplings
function strategies.compare(rows, metric, reference)
  local samplings, seeds, rates = rows:distinct "sampling", rows:distinct "seed", {}
  if #samplings < 2 then return nil end
  for _, rate in ipairs(rows:distinct "rate") do
    if rate > 0 then rates[#rates + 1] = rate end
  end
  if not reference then
    reference = samplings[1]
    for _, sampling in ipairs(samplings) do
      if sampling == "random" then reference = sampling end
    end
  end
  local changes, blocks = changes_of(rows, metric)
  local others = by_seed(changes[reference], rates, seeds, blocks)
  local compared = { metric = metric, reference = reference, rates = rates, seeds = #seeds, blocks = blocks,
    lines = {} }
  for s, sampling in ipairs(samplings) do
    local means = by_seed(changes[sampling], rates, seeds, blocks)
    local line = { sampling = sampling, place = s, changes = {}, differences = {},
      wins = count_wins(changes[sampling], changes[reference]) }
    for i = 1, #rates + 1 do
      line.changes[i] = summary(means[i], seeds) or false
      line.differences[i] = summary(means[i], seeds, others[i]) or false
    end
    compared.lines[s] = line
  end
  table.sort(compared.lines, function(a, b)
    local one, other = a.changes[#rates + 1], b.changes[#rates + 1]
    local left, right = one and one.mean or math.huge, other and other.mean or math.huge
    if left ~= right then return left < right end
    return a.place < b.place
  end)
  return compared
end

-- "0.041", with "[0.012, 0.070]"; no interval where there is one seed, or all are the same.
local function cell(found, seeds, best)
  if not found then return { text = "–" } end
  local details = {}
  if found.count > 1 and found.min < found.max then
    details[1] = ("[%s, %s]"):format(names.number(found.low), names.number(found.high))
  end
  if found.count < seeds then details[#details + 1] = ("(%d of %d seeds)"):format(found.count, seeds) end
  return { text = names.number(found.mean), detail = details[1] and table.concat(details, " "), best = best }
end

local function interval_note(compared)
  if compared.seeds < 2 then return "There is one seed, hence no interval: more seeds say what is chance." end
  return ("In brackets: 95 %% interval of the mean over %d seeds (Student's t), of these test images and models; none "
    .. "where all seeds give the same, as strategies without chance do."):format(compared.seeds)
end

local function new_table(compared, label, caption, span)
  local heads = { "Sampling" }
  for _, rate in ipairs(compared.rates) do heads[#heads + 1] = { names.rate(rate), "at " .. names.rate(rate) } end
  heads[#heads + 1] = "all rates"
  return { kind = "drops", label = label, caption = caption, span = span, heads = heads, names = 1, lines = {} }
end

--- The strategies in order, best first: their changes for the worse.
-- @tab compared what `compare` gives
-- @treturn table as `table_writers` explains
function strategies.ranking(compared)
  local metric = compared.metric
  local caption = ("Strategies of sampling, the smallest mean %s of %s first: mean over %s (datasets × models × ways "
    .. "of scoring). %s Lower is better; bold is the smallest of a column."):format(metric.lost, metric.title,
    names.count(compared.blocks, "combination"), interval_note(compared))
  local shown = new_table(compared, "strategies", caption, ("Δ %s at pruning rate"):format(metric.title))
  for i, line in ipairs(compared.lines) do
    shown.lines[i] = { line.sampling }
    for j, found in ipairs(line.changes) do shown.lines[i][j + 1] = cell(found, compared.seeds) end
  end
  for j = 1, #compared.rates + 1 do
    local smallest = math.huge
    local function mean(line)
      local found = line.changes[j]
      return found and found.count == compared.seeds and tonumber(names.number(found.mean)) or nil
    end
    for _, line in ipairs(compared.lines) do smallest = math.min(smallest, mean(line) or math.huge) end
    for i, line in ipairs(compared.lines) do shown.lines[i][j + 1].best = mean(line) == smallest end
  end
  return shown
end

--- What each strategy loses more, or less, than the reference with the same seeds.
-- @tab compared what `compare` gives
-- @treturn table as `table_writers` explains
function strategies.differences(compared)
  local reference = compared.reference
  local caption = ("Each strategy against %s with the same seeds: the difference of the %s of %s, negative where the "
    .. "strategy is better. %s Bold: the interval is below 0. Intervals are not corrected for the number of "
    .. "comparisons. Better in: of all pairs of pruned models alike in all but the sampling."):format(reference,
    compared.metric.lost, compared.metric.title, interval_note(compared))
  local shown = new_table(compared, "differences", caption, ("Difference to %s at pruning rate"):format(reference))
  shown.heads[#shown.heads + 1] = "better in"
  for _, line in ipairs(compared.lines) do
    if line.sampling ~= reference then
      local cells = { line.sampling }
      for j, found in ipairs(line.differences) do
        local is_sure = found and found.count > 1 and found.min < found.max and found.high < 0
        cells[j + 1] = cell(found, compared.seeds, is_sure or false)
      end
      local wins = line.wins
      cells[#cells + 1] = wins.total == 0 and "–" or ("%d of %d%s"):format(wins.wins, wins.total, wins.ties > 0
        and (", %s"):format(wins.ties == 1 and "1 tie" or wins.ties .. " ties") or "")
      shown.lines[#shown.lines + 1] = cells
    end
  end
  return shown
end

return strategies
