-- Time per image and peak memory of explanations, beside the packages that are the reference for them.
--
--     make bench BENCH=spec/bench/attribution.lua PYTHON=/path/to/python-with-the-packages
--
-- Options through the environment: PYTHON (none: Secateur alone), TASKS ("lrp ig conductance dlb attnlrp cp_lrp"),
-- BATCH (8), SIZE (224), THREADS (2), REPEATS (3), STEPS (32: of the paths), MODELS of LRP ("resnet50 vgg19"),
-- PATH_MODELS ("resnet50"), CHAIN of DL-Backtrace ("vgg19"), TRANSFORMER ("vit_b_16"); PATH_BATCH (BATCH) for both
-- sides of ig and conductance; LAYERS (3: how many convolutions captum's conductance is measured at), DLB_SIZE (SIZE),
-- DLB_SECONDS (240: after which dl_backtrace is stopped; the ratio is then a lower bound). Each measurement is a
-- process of its own.
-- For a quick look: SIZE=64 BATCH=2 MODELS=resnet_small PATH_MODELS=resnet_small TRANSFORMER=vit_small DLB_SIZE=32.
local bench = require "support.bench"
local json = require "secateur.util.json"

local setting = bench.setting
local BATCH, SIZE, THREADS, REPEATS = setting("BATCH", 8), setting("SIZE", 224), setting("THREADS", 2),
  setting("REPEATS", 3)
local STEPS, PATH_BATCH, DLB_SIZE = setting("STEPS", 32), setting("PATH_BATCH", BATCH), setting("DLB_SIZE", SIZE)

-- What this side does: options of attribute, and whether a run without being timed comes first.
local ours = {
  lrp = { method = "lrp", composite = "epsilon_plus" },
  ig = { method = "ig", baseline = "zero", steps = STEPS },
  conductance = { method = "ig", baseline = "zero", steps = STEPS },
  dlb = { method = "dlb" },
  attnlrp = { method = "lrp", composite = "attnlrp" },
  cp_lrp = { method = "lrp", composite = "cp_lrp" },
}

local function convolutions(model)
  local names = {}
  for _, node in ipairs(model.graph:nodes()) do if node.op == "conv2d" then names[#names + 1] = node.name end end
  return names
end

local function measure(task, name, batch, size)
  local sc = require "secateur"
  local model, opts, targets = bench.model(name, size), {}, {}
  local x = sc.randn(batch, 3, size, size, { seed = 1 })
  for i = 1, batch do targets[i] = i end
  for key, value in pairs(ours[task]) do opts[key] = value end
  opts.target, opts.batch = targets, batch
  opts.layers = task == "conductance" and convolutions(model) or {}
  local path = opts.method == "ig"
  local result
  local function run() result = sc.attribute(model, x, opts) end
  if not path then run() end -- as the peer warms up
  bench.answer(run, path and 1 or REPEATS, batch)
  local sum = result.input:abs():sum()
  if sum ~= sum or sum == math.huge then io.stderr:write(task, " ", name, ": not finite\n") end
end

local LINE = "%-12s %-12s %5s %5s %10s %9s   %-28s %11s %9s %9s %8s"

local function peer_of(python, task, name, batch, size)
  local text = bench.run({ python, "spec/bench/peer_attribution.py", task, name, batch, THREADS, REPEATS, size, STEPS,
    setting("LAYERS", 3), setting("DLB_SECONDS", 240) }, THREADS)
  local read, answer = pcall(json.decode, text)
  if not read or type(answer) ~= "table" then return { failed = "no answer" } end
  return answer
end

-- What is not plainly measured about the peer's figure.
local function remark(answer)
  if answer.extrapolated then
    return ("  extrapolated from %d of %d convolutions"):format(answer.measured_layers, answer.layers)
  elseif answer.complete == false then
    return ("  stopped after %d of %d layers: at least"):format(answer.done_layers, answer.layers)
  end
  return ""
end

-- A row, of as many cells as there are.
local function show(own, them)
  local cells = table.move(them, 1, #them, 7, table.move(own, 1, 6, 1, {}))
  for i = #cells + 1, 11 do cells[i] = "" end
  print((LINE:format(table.unpack(cells)):gsub("%s+$", "")))
end

local function compare(task, peers, name, batch, size)
  local ms, peak = bench.child({ task, name, batch, size }, THREADS)
  local own = { task, name, batch, size, ms and ("%.1f"):format(ms) or "failed", peak and ("%.0f"):format(peak) or "" }
  local python = os.getenv "PYTHON"
  if not python then return show(own, {}) end
  for _, peer in ipairs(peers) do
    local answer = peer_of(python, peer, name, batch, size)
    local why = answer.missing or answer.failed
    if why then
      show(own, { ("%s skipped: %s"):format(peer, why) })
    else
      local times = ms and answer.ms_per_image / ms or 0
      show(own, { answer.package, ("%.1f"):format(answer.ms_per_image), ("%.0f"):format(answer.peak_rss_mb),
        ("%.1fx"):format(times), ("%.2fx%s"):format(peak and answer.peak_rss_mb / peak or 0, remark(answer)) })
    end
  end
end

local function each(names, f) for name in names:gmatch "%S+" do f(name) end end

local tasks = {
  lrp = function()
    each(setting("MODELS", "resnet50 vgg19"), function(name) compare("lrp", { "lrp" }, name, BATCH, SIZE) end)
  end,
  ig = function()
    each(setting("PATH_MODELS", "resnet50"), function(name) compare("ig", { "ig" }, name, PATH_BATCH, SIZE) end)
  end,
  conductance = function()
    each(setting("PATH_MODELS", "resnet50"), function(name)
      compare("conductance", { "conductance" }, name, PATH_BATCH, SIZE)
    end)
  end,
  dlb = function() -- the package takes one sample after another, and is timed at the first
    each(setting("CHAIN", "vgg19"), function(name) compare("dlb", { "dlb" }, name, BATCH, DLB_SIZE) end)
  end,
  attnlrp = function()
    each(setting("TRANSFORMER", "vit_b_16"), function(name)
      compare("attnlrp", { "attnlrp", "attnlrp_efficient" }, name, BATCH, SIZE)
    end)
  end,
  cp_lrp = function()
    each(setting("TRANSFORMER", "vit_b_16"), function(name)
      compare("cp_lrp", { "cp_lrp_efficient" }, name, BATCH, SIZE)
    end)
  end,
}

if arg[1] == "child" then
  measure(arg[2], arg[3], math.tointeger(arg[4]), math.tointeger(arg[5]))
else
  print(("%d threads, median of %d, %d steps; time and memory: the peer's divided by ours"):format(
    THREADS, REPEATS, STEPS))
  print(LINE:format("task", "model", "batch", "size", "ms/image", "peak MB", "peer", "ms/image", "peak MB", "time",
    "memory"))
  each(setting("TASKS", "lrp ig conductance dlb attnlrp cp_lrp"), function(task)
    if tasks[task] then tasks[task]() else print(task .. ": no such task") end
  end)
end
