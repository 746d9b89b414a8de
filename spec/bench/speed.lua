-- Time per image and peak memory of full-size models, forward and forward + backward, beside PyTorch.
--
--     make bench BENCH=spec/bench/speed.lua PYTHON=/path/to/python-with-torch
--
-- Options through the environment: BATCH (16), THREADS (2), REPEATS (5), MODELS ("resnet50 vgg19 vit_b_16"), PYTHON
-- (none: Secateur alone). Each measurement is a process of its own, so that peak memory means something; medians.
require "secateur.cpu".prepare()
local core = require "secateur.core"

local function setting(name, default) return os.getenv(name) or default end

-- One measurement in this process.
local function measure(name, batch, mode, repeats)
  local sc = require "secateur"
  local model = sc.models[name] {}
  local x = sc.randn(batch, 3, 224, 224, { seed = 1 })
  local train = mode == "train"
  local plan = core.plan(model.graph, { batch = batch, backward = train, training = train, params = train })
  local labels = {}
  for i = 1, batch do labels[i] = (i * 37) % 1000 + 1 end
  labels = core.tensor(labels, "int64")
  local function run(seed)
    local logits = plan:forward(x, seed)
    if train then
      local _, gradient = core.cross_entropy(logits, labels)
      plan:backward(gradient)
    end
  end
  run(0) -- warm-up: memory is touched, threads are up
  local times = {}
  for i = 1, repeats do
    local start = core.clock()
    run(i)
    times[i] = core.clock() - start
  end
  table.sort(times)
  local status = io.open("/proc/self/status"):read "a"
  print(("%.3f %.1f"):format(times[(repeats + 1) // 2] / batch * 1000, tonumber(status:match "VmHWM:%s+(%d+)") / 1024))
end

local function read(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  pipe:close()
  return text
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function compare()
  local batch, threads, repeats = setting("BATCH", 16), setting("THREADS", 2), setting("REPEATS", 5)
  local python = os.getenv "PYTHON"
  local interpreter = arg[-1]
  print(("batch %s, %s threads, 224 x 224, median of %s; %s"):format(batch, threads, repeats,
    read "uptime":match "load average.*" or ""))
  print(("%-10s %-8s %12s %10s %12s %10s %8s %8s"):format("model", "mode", "ms/image", "peak MB", "torch ms",
    "torch MB", "time", "memory"))
  for name in setting("MODELS", "resnet50 vgg19 vit_b_16"):gmatch "%S+" do
    for _, mode in ipairs { "forward", "train" } do
      local own = read(("OMP_NUM_THREADS=%s %s %s child %s %s %s %s"):format(threads, quote(interpreter), quote(arg[0]),
        name, batch, mode, repeats))
      local ms, peak = own:match "([%d.]+) ([%d.]+)"
      local line = ("%-10s %-8s %12.1f %10.0f"):format(name, mode, ms, peak)
      if python then
        local peer = read(("%s spec/bench/peer_speed.py %s %s %s %s %s"):format(quote(python), name, batch, threads,
          mode, repeats))
        local peer_ms, peer_peak = peer:match '"ms_per_image": ([%d.]+)', peer:match '"peak_rss_mb": ([%d.]+)'
        line = line .. (" %12.1f %10.0f %7.2fx %7.2fx"):format(peer_ms, peer_peak, ms / peer_ms, peak / peer_peak)
      end
      print(line)
    end
  end
end

if arg[1] == "child" then
  measure(arg[2], tonumber(arg[3]), arg[4], tonumber(arg[5]))
else
  compare()
end
