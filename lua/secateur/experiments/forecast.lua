--- How long a sweep would take on so many processes, from what its steps take on one.
-- @module secateur.experiments.forecast
local cluster_model = require "secateur.experiments.cluster_model"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local progress = require "secateur.util.progress"
local text_table = require "secateur.util.text_table"

local seconds_rule = { type = "number", min = 0, default = 0 }
local count_rule = { type = "integer", min = 1, required = true }

local rules = {
  models = { type = "table", required = true },
  datasets = { type = "table", required = true },
  methods = { type = "list", default = { "lrp", "dlb", "ig" } },
  samplings = { type = "list", default = { "clustering", "confidence", "random" } },
  rates = { type = "list", default = { 0, .15, .3, .5, .7 } },
  seeds = { type = "integer", min = 1, default = 1 },
  per_class = { type = "integer", min = 1, default = 10 },
  epochs = { type = "integer", min = 0, default = 0 },
  ranks = { type = "list", default = { 1, 2, 4, 8, 16, 32, 64, 128, 256 } },
  root = { type = "boolean", default = true },
  ahead = { type = "integer", min = 0, default = 1 },
  keep = { type = "integer", min = 1, default = 2 },
  per_task = { type = "number", min = 0, default = 0.004 },
  bandwidth = { type = "number", above = 0, default = 117e6 },
}
local model_rules = { forward = { type = "number", above = 0, required = true }, training = seconds_rule,
  scores = { type = "table", required = true }, row = seconds_rule,
  bytes = { type = "integer", min = 0, default = 0 }, units = { type = "integer", min = 0, default = 0 } }
local dataset_rules = { train = count_rule, test = count_rule, classes = count_rule }

-- Bytes in a store, about: of a row, of the score of a unit, of a logit, of the index of a sample.
local ROW, SCORE, LOGIT, INDEX = 1800, 14, 14, 6

local function read(given)
  local opts = options.check("forecast", given, rules)
  local function entries(name, of_entry)
    local read_entries = {}
    for _, key in ipairs(options.sorted_keys(opts[name])) do
      read_entries[key] = options.check(("forecast: %s.%s"):format(name, tostring(key)), opts[name][key], of_entry)
    end
    if not next(read_entries) then errors.refuse("forecast", name .. ": expected at least one") end
    opts[name] = read_entries
  end
  entries("models", model_rules)
  entries("datasets", dataset_rules)
  opts.rates = options.entries("forecast", "rates", opts.rates, { type = "number", min = 0, below = 1 })
  opts.ranks = options.entries("forecast", "ranks", opts.ranks, { type = "integer", min = 1 })
  for name, model in pairs(opts.models) do
    for _, method in ipairs(opts.methods) do
      options.value("forecast", ("models.%s.scores.%s"):format(name, tostring(method)), model.scores[method],
        { type = "number", min = 0, required = true })
    end
  end
  return opts
end

-- The tasks of a model and a data set, as `experiments/sweep_tasks` lists them, with how long each takes.
local function add_pair(plan, pair, model, data)
  local opts = plan.opts
  local function add(kind, name, seconds, bytes, needs)
    local id = ("%d %s %s"):format(pair, kind, name)
    plan.list[#plan.list + 1] = { id = id, kind = kind, pair = pair, seconds = seconds, size = seconds, bytes = bytes,
      needs = needs }
    plan.seconds[kind] = (plan.seconds[kind] or 0) + seconds
    plan.longest[kind] = math.max(plan.longest[kind] or 0, seconds)
    return id
  end
  local before = {}
  if opts.epochs > 0 then before[1] = add("model", "", opts.epochs * data.train * model.training, 100, {}) end
  local dense = add("dense", "", data.test * model.forward, data.test * data.classes * LOGIT, before)
  for seed = 1, opts.seeds do
    for _, sampling in ipairs(opts.samplings) do
      local place = sampling .. " " .. seed
      local samples = add("samples", place, sampling == "random" and 0 or data.train * model.forward,
        opts.per_class * data.classes * INDEX, before)
      for _, method in ipairs(opts.methods) do
        local scores = add("scores", method .. " " .. place,
          opts.per_class * data.classes * model.scores[method], model.units * SCORE, { samples })
        for _, rate in ipairs(opts.rates) do
          add("row", ("%s %s %.17g"):format(method, place, rate),
            model.row + (rate == 0 and 0 or (1 - rate) * data.test * model.forward), ROW, { dense, scores })
        end
      end
    end
  end
  plan.model_bytes[pair] = model.bytes
end

local function list_tasks(opts)
  local plan = { opts = opts, list = {}, seconds = {}, longest = {}, model_bytes = {} }
  local pair = 0
  for _, dataset in ipairs(options.sorted_keys(opts.datasets)) do
    for _, model in ipairs(options.sorted_keys(opts.models)) do
      pair = pair + 1
      add_pair(plan, pair, opts.models[model], opts.datasets[dataset])
    end
  end
  return plan
end

local function to_lines(self)
  local lines = { { "ranks", "time", "idle", "speed-up", "writes/s", "busiest second", "stored", "models sent",
    "rank 0 keeps" } }
  for _, each in ipairs(self) do
    lines[#lines + 1] = { tostring(each.ranks), progress.duration(each.seconds), ("%.1f%%"):format(100 * each.idle),
      ("%.1f"):format(each.speedup), ("%.3g"):format(each.writes_per_second), tostring(each.busiest_second),
      ("%.1f MB"):format(each.bytes / 1e6), ("%d (%.1f GB)"):format(each.models_sent, each.model_bytes / 1e9),
      ("%.2f%%"):format(100 * each.owner) }
  end
  return lines
end

--- Says how long a sweep would take on a cluster, without one: the tasks of its grid, with the times that were measured
-- of one process, are handed out by the policy of `sweep` on a clock that is only counted.
--
-- Ranks are taken for equally fast and undisturbed, each with the threads that the times were measured with.
-- @tab opts
--
-- * `models`: name → `forward` (seconds of an image), `training` (0; seconds of an image in a step of training),
--   `scores` (method → seconds of a sample), `row` (0; seconds of a row besides its images: pruning, compacting,
--   timing), `units` (0; how many have scores), `bytes` (0; of the file)
-- * `datasets`: name → `train`, `test` (numbers of images), `classes`
-- * `methods`, `samplings`, `rates`, `per_class` (as in `sweep`); `seeds` (1; how many); `epochs` (0: the models are
--   there already)
-- * `ranks` ({1, 2, 4, ..., 256}); `root` (true: whether rank 0 computes, too), `ahead` (1: tasks that a rank has
--   ahead), `keep` (2; models on a rank)
-- * `per_task` (0.004; seconds of rank 0 for a result), `bandwidth` (117e6: bytes a second through rank 0's network)
--
-- @treturn list of `{ ranks =, seconds =, speedup =, idle = (share), writes_per_second =, busiest_second = (writes),
--   bytes =, models_sent =, model_bytes =, owner = (share of time that rank 0 keeps results) }`; printed, a table. Its
--   `tasks` is how many there are, `total` their seconds by kind ("model", "dense", "samples", "scores", "row"),
--   `longest` the longest of each kind
-- @usage
-- print(sc.forecast { models = { vgg = { forward = 0.1, scores = { lrp = 0.5 } } }, methods = { "lrp" },
--   datasets = { mura = { train = 36808, test = 3197, classes = 2 } }, seeds = 3 })
local function forecast(opts)
  opts = read(opts)
  local plan, list, work = list_tasks(opts), {}, 0
  for _, seconds in pairs(plan.seconds) do work = work + seconds end
  for i, size in ipairs(opts.ranks) do
    local found = cluster_model.simulate(plan.list, { size = size, root = opts.root, ahead = opts.ahead,
      models = opts.keep, per_task = opts.per_task, bandwidth = opts.bandwidth, model_bytes = plan.model_bytes })
    found.ranks, found.speedup = size, found.seconds > 0 and work / found.seconds or 1
    list[i] = found
  end
  text_table.listing(list, to_lines)
  list.tasks, list.total, list.longest = #plan.list, plan.seconds, plan.longest
  return list
end

return forecast
