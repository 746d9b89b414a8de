--- What several processes are worth: the same work by one process with all cores as threads, and by as many processes
-- of one thread each, in turns. `make bench BENCH=spec/bench/ranks.lua`; FLAVOUR=mpich takes one MPI, WORK="train
-- sweep" some of the work, ROUNDS=5 as many turns. Times are wall clock of the verb, between two barriers; the ratio is
-- of medians, above 1 where processes are faster.
local core = require "secateur.core"
local mpirun = require "support.mpirun"

local SCRIPT = [[
local core = require "secateur.core"
local sc = require "secateur"
local group = sc.mpi.group()
local function first(split, count)
  local list = {}
  for i = 1, count do list[i] = i end
  return split:subset(list)
end
local work = {}

function work.evaluate()
  local data = sc.data.phantom { count = 100, size = 224, channels = 3, seed = 1 }
  local model = sc.models.resnet50 { like = data, seed = 1 }
  local split = first(data.train, 64)
  sc.evaluate(model, first(data.train, 4), { group = group })
  return function() sc.evaluate(model, split, { group = group, batch = 16 }) end
end

function work.importance()
  local data = sc.data.phantom { count = 100, size = 224, channels = 3, seed = 1 }
  local model = sc.models.resnet50 { like = data, seed = 1 }
  local indices = {}
  for i = 1, 32 do indices[i] = i end
  return function() sc.importance(model, data.train, { method = "lrp", indices = indices, group = group }) end
end

function work.train()
  local data = sc.data.phantom { count = 400, size = 64, splits = { train = 1 }, seed = 1 }
  local model = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
    batch_norm = true, like = data, seed = 1 }
  local alone = { train = data.train, classes = data.classes }
  return function()
    sc.train(model, alone, { epochs = 1, batch = 32, micro_batch = 8, group = group, quiet = true })
  end
end

function work.sweep()
  local data = sc.data.phantom { size = 64, count = 400, seed = 1 }
  local models = {}
  for i = 1, 2 do
    models["vgg" .. i] = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
      batch_norm = true, like = data, seed = i }
  end
  return function()
    sc.sweep { models = models, datasets = { phantom = data }, methods = { "lrp", "ig" },
      sampling = { "random", "clustering" }, rates = { 0, 0.15, 0.3, 0.5, 0.7 }, latency = false, progress = false }
  end
end

local run = work.%s()
group:barrier()
local started = core.clock()
run()
group:barrier()
if group.rank == 0 then print(("seconds %%.3f"):format(core.clock() - started)) end
]]

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function seconds(flavour, ranks, threads, script)
  local status, output = mpirun.run(flavour, ranks, script, { env = "OMP_NUM_THREADS=" .. threads })
  return tonumber(output:match "seconds (%S+)") or error(("status %s: %s"):format(status, output), 0)
end

local cores, rounds = core.threads(), tonumber(os.getenv "ROUNDS" or 5)
for flavour in (os.getenv "FLAVOUR" or "openmpi mpich"):gmatch "%S+" do
  local missing
  mpirun.need(function(reason) missing = reason end, flavour)
  print(flavour .. (missing and ": " .. missing or ""))
  for name in (missing and "" or os.getenv "WORK" or "evaluate importance train sweep"):gmatch "%S+" do
    local script, threads, ranks = SCRIPT:format(name), {}, {}
    for i = 1, rounds do
      threads[i] = seconds(flavour, 1, cores, script)
      ranks[i] = seconds(flavour, cores, 1, script)
    end
    local one, many = median(threads), median(ranks)
    print(("  %-10s 1 process x %d threads %7.2f s (%.2f-%.2f), %d processes x 1 thread %7.2f s (%.2f-%.2f): %.2f")
      :format(name, cores, one, threads[1], threads[#threads], cores, many, ranks[1], ranks[#ranks], one / many))
  end
end
