-- Seconds and peak memory of scoring the neurons of a whole network, for each method: 10 samples of each of 3 classes.
--
--     make bench BENCH=spec/bench/importance.lua
--
-- Run by itself, its arguments are the methods to measure. Options through the environment: MODEL ("resnet50"), SIZE
-- (224), CLASSES (3), PER_CLASS (10), BATCH (16), THREADS (2), STEPS (32, of ig), SAMPLING ("random": the pool is as
-- large as what is taken, so that choosing is free), METHODS (all of them; some in a list with spaces). Weights are
-- random, images noise in memory. Each method runs once, in a process of its own.
local bench = require "support.bench"

local setting = bench.setting
local THREADS, STEPS = setting("THREADS", 2), setting("STEPS", 32)

-- Samples of the first few of the model's classes.
local function pool(sc, of)
  local memory_split = require "support.memory_split"
  local classes, each, size = setting("CLASSES", 3), setting("PER_CLASS", 10), setting("SIZE", 224)
  local names, labels = {}, {}
  for class = 1, of do names[class] = "class " .. class end
  for class = 1, classes do
    for _ = 1, each do labels[#labels + 1] = class end
  end
  return memory_split(sc.randn(#labels, 3, size, size, { seed = 2 }), labels, { classes = names }), each
end

local function measure(method)
  local sc = require "secateur"
  local model = bench.model(setting("MODEL", "resnet50"), setting("SIZE", 224))
  local split, each = pool(sc, model.class_count)
  local opts = { method = method, sampling = setting("SAMPLING", "random"), per_class = each,
    batch = setting("BATCH", 16) }
  if method == "ig" then opts.steps, opts.baseline = STEPS, "zero" end
  local scores
  bench.answer(function() scores = sc.importance(model, split, opts) end, 1, 1)
  local layers, units = 0, 0
  for _, tensor in pairs(scores) do layers, units = layers + 1, units + tensor:numel() end
  print(("%d units in %d layers"):format(units, layers))
end

if arg[1] == "child" then
  measure(arg[2])
else
  local known = require("secateur.attribution.methods").scoring
  local wanted = #arg > 0 and table.concat(arg, " ") or setting("METHODS", table.concat(known, " "))
  for method in wanted:gmatch "%S+" do
    if not (" " .. table.concat(known, " ") .. " "):find(" " .. method .. " ", 1, true) then
      io.stderr:write(("importance.lua: expected methods among %s, got '%s'\n"):format(table.concat(known, ", "),
        method))
      os.exit(1)
    end
  end
  print(("%s, %d x %d, %d samples of each of %d classes, batch %d, %d threads, %d steps"):format(
    setting("MODEL", "resnet50"), setting("SIZE", 224), setting("SIZE", 224), setting("PER_CLASS", 10),
    setting("CLASSES", 3), setting("BATCH", 16), THREADS, STEPS))
  print(("%-18s %10s %10s"):format("method", "seconds", "peak MB"))
  for method in wanted:gmatch "%S+" do
    local ms, peak = bench.child({ method }, THREADS)
    print(("%-18s %10s %10s"):format(method, ms and ("%.2f"):format(ms / 1000) or "failed",
      peak and ("%.0f"):format(peak) or ""))
  end
end
