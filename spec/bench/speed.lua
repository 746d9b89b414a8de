-- Time per image and peak memory of full-size models, forward and as a training step, beside other runtimes.
--
--     make bench BENCH=spec/bench/speed.lua PYTHON=/path/to/python-with-runtimes
--
-- Options through the environment:
--   MODELS   "resnet50 vgg19 vit_b_16"
--   MODES    "forward train": inference; forward in training mode, cross entropy, backward to all parameters
--   BATCH    "16 1": forward at each, train at the first
--   THREADS  2
--   REPEATS  5: rounds; in each, Secateur and every runtime are measured once, every time in another order
--   BATCHES  3, MIN_SECONDS 1: least number of timed batches of a measurement, and how long they take at least together
--   PYTHON   an interpreter with any of torch, onnxruntime, openvino (none: Secateur alone)
--   RUNTIMES those to measure: "torch torch_channels_last onnxruntime openvino openvino_throughput"
--   HISTORY  "build/bench/speed.csv": every measurement is appended to it; empty: none
--   PROFILE  "after" the table, or "alone": time by node of each model and batch. Run by itself, the script takes
--            --profile and --profile=alone for these
--
-- Each measurement is a process of its own, so that peak memory means something, and gives the median of its batches;
-- the table gives medians over the rounds. All compute in float32. ONNX runtimes read what export_onnx writes, batch
-- norms folded. GFLOP/s count two operations for each multiply-add of the plain algorithms, three times as many for
-- training; so what needs fewer, as Winograd's transform does, can come near the peak or above. The peak is measured in
-- every round, on registers alone.
local bench = require "support.bench"
local core = require "secateur.core"
local files = require "secateur.util.files"
local history = require "support.history"
local machine = require "support.machine"
local runtimes = require "support.runtimes"
local speed_table = require "support.speed_table"
local temporary = require "support.temporary"

local setting = bench.setting
local THREADS, REPEATS, BATCHES, MIN_SECONDS = setting("THREADS", 2), setting("REPEATS", 5), setting("BATCHES", 3),
  setting("MIN_SECONDS", 1)
local PYTHON = os.getenv "PYTHON"

local function words(text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = word end
  return list
end

local MODELS, MODES, BATCH = words(setting("MODELS", "resnet50 vgg19 vit_b_16")),
  words(setting("MODES", "forward train")), words(setting("BATCH", "16 1"))
for i, word in ipairs(BATCH) do
  BATCH[i] = math.tointeger(word) or error(("BATCH: expected whole numbers, got '%s'"):format(word), 0)
end

-- ---- in a child ----

local function size_of(name) return name:find "_small$" and 64 or 224 end

local function model_and_images(name, batch)
  local size = size_of(name)
  return bench.model(name, size), core.randn(batch, 3, size, size, { seed = 1 })
end

local steps = {}

function steps.forward(model, x)
  return function() model:forward(x) end
end

function steps.train(model, x)
  local plan = core.plan(model.graph, { batch = x:size(1), backward = true, training = true, params = true })
  local labels, seed = {}, 0
  for i = 1, x:size(1) do labels[i] = (i * 37) % 1000 + 1 end
  labels = core.tensor(labels, "int64")
  return function()
    seed = seed + 1
    local _, gradient = core.cross_entropy(plan:forward(x, seed), labels)
    plan:backward(gradient)
  end
end

local children = {}

function children.measure(mode, name, batch)
  local run = steps[mode](model_and_images(name, batch))
  bench.warm(run, MIN_SECONDS)
  bench.answer(run, BATCHES, batch, MIN_SECONDS)
end

-- Writes the model for runtimes that read ONNX; prints the multiply-adds of one sample.
function children.prepare(name, path)
  local model, macs = bench.model(name, size_of(name)), 0
  for _, node in ipairs(model.graph:nodes()) do macs = macs + node.macs end
  if path ~= "" then model:export_onnx(path, { fold = true }) end
  print(("macs %.0f"):format(macs))
end

function children.peak()
  print(("peak %s"):format(machine.peak(THREADS) or "unknown"))
end

function children.profile(name, batch)
  local model, x = model_and_images(name, batch)
  if not model.profile then
    io.stderr:write "this version's models have no profile()\n"
    return
  end
  print(("== %s, batch %d, %d threads"):format(name, batch, THREADS))
  print(tostring(model:profile(x)))
end

-- ---- the rounds ----

local function measure(result, case)
  if result.column ~= "ours" then return runtimes.measure(PYTHON, result.runtime, case) end
  local ms, mb = bench.child({ "measure", case.mode, case.model, case.batch }, THREADS)
  if not ms then error(("%s, %s, batch %d failed"):format(case.model, case.mode, case.batch), 0) end
  return ms, mb
end

-- One measurement into its result and the history. A runtime that fails is not asked again in this case.
local function take(result, case, peak, log)
  if result.failed then return end
  local ms, mb = measure(result, case)
  if not ms then
    result.failed = true
    io.stderr:write(("%s failed: %s, %s, batch %d\n"):format(result.name, case.model, case.mode, case.batch))
    return
  end
  result.ms[#result.ms + 1], result.mb[#result.mb + 1] = ms, mb
  local gflops = case.flops / ms * 1e-6
  log:add { threads = case.threads, model = case.model, mode = case.mode, batch = case.batch, who = result.name,
    version = result.version, ms_per_image = ms, gflops = tonumber(("%.3f"):format(gflops)), peak_mb = mb,
    peak_share = peak and tonumber(("%.4f"):format(gflops / peak)) }
end

local function run_case(case, present, log)
  local results, peaks = { { name = "secateur", column = "ours", version = "scm", ms = {}, mb = {} } }, {}
  for _, runtime in ipairs(present) do
    if runtimes.suits(runtime, case) then
      results[#results + 1] = { name = runtime.name, column = runtime.column, version = runtime.version,
        runtime = runtime, ms = {}, mb = {} }
    end
  end
  for round = 1, REPEATS do
    local _, _, text = bench.child({ "peak" }, THREADS)
    local peak = tonumber(text:match "peak ([%d.]+)")
    peaks[#peaks + 1] = peak
    for i = 0, #results - 1 do take(results[(round - 1 + i) % #results + 1], case, peak, log) end
  end
  return results, peaks
end

-- All cases of a model; its ONNX file lives as long.
local function run_model(name, folder, present, layout, log)
  local path = ""
  for _, runtime in ipairs(present) do
    if runtime.onnx then path = files.join(folder, name .. ".onnx") end
  end
  local _, _, text = bench.child({ "prepare", name, path }, THREADS)
  local macs = tonumber(text:match "macs (%d+)") or error(("MODELS: '%s' failed"):format(name), 0)
  for _, mode in ipairs(MODES) do
    if not steps[mode] then error(("MODES: expected forward or train, got '%s'"):format(mode), 0) end
    for i = 1, mode == "train" and 1 or #BATCH do
      local case = { model = name, mode = mode, batch = BATCH[i], threads = THREADS, batches = BATCHES,
        seconds = MIN_SECONDS, onnx = path, flops = 2 * macs * (mode == "train" and 3 or 1) }
      print(layout:row(case, run_case(case, present, log)))
    end
  end
  if path ~= "" then assert(files.remove(path)) end
end

local function compare()
  local present = runtimes.installed(PYTHON, setting("RUNTIMES", runtimes.names()))
  local log, layout = history.open(setting("HISTORY", "build/bench/speed.csv")), speed_table.new(present)
  local folder = temporary.folder()
  print(("%s%s, %d threads, medians over %d rounds; speed-up: the fastest runtime's time divided by ours"):format(
    log.processor, log.level ~= "" and " (" .. log.level .. ")" or "", THREADS, REPEATS))
  for _, runtime in ipairs(present) do print(("%-20s %s"):format(runtime.name, runtime.version)) end
  print(layout.heading)
  local good, message = pcall(function()
    for _, name in ipairs(MODELS) do run_model(name, folder, present, layout, log) end
  end)
  files.remove(folder)
  if not good then error(message, 0) end
end

local function profile()
  for _, name in ipairs(MODELS) do
    for _, batch in ipairs(BATCH) do
      local _, _, text = bench.child({ "profile", name, batch }, THREADS)
      io.write(text)
    end
  end
end

io.stdout:setvbuf "line" -- a row is seen when it is there, in a file too
if arg[1] == "child" then
  local given = {}
  for i = 3, #arg do given[#given + 1] = math.tointeger(arg[i]) or arg[i] end
  children[arg[2]](table.unpack(given))
else
  local wanted = setting("PROFILE", "")
  for _, word in ipairs(arg) do
    wanted = word == "--profile" and "after" or word:match "^%-%-profile=(.*)$"
      or error(("speed.lua: expected --profile or --profile=alone, got '%s'"):format(word), 0)
  end
  if wanted ~= "alone" then compare() end
  if wanted ~= "" then profile() end
end
