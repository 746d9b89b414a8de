-- Time of training steps beside PyTorch: a head alone, a whole network, and the optimisers' own part.
--
--     make bench BENCH=spec/bench/training.lua PYTHON=/path/to/python-with-torch
--
-- Options through the environment: BATCH (16), THREADS (2), REPEATS (5), MODEL ("resnet18", for the steps), LARGE
-- ("vit_b_16", for the optimisers), PYTHON (none: Secateur alone). Medians, in milliseconds. The optimisers step along
-- gradients that are there already.
require "secateur.cpu".prepare()
local core = require "secateur.core"
local models = require "secateur.models"

local function setting(name, default) return os.getenv(name) or default end

local batch, repeats = tonumber(setting("BATCH", 16)), tonumber(setting("REPEATS", 5))
core.threads(tonumber(setting("THREADS", 2)))

local function median(work)
  local times = {}
  work()
  for i = 1, repeats do
    local start = core.clock()
    work()
    times[i] = (core.clock() - start) * 1000
  end
  table.sort(times)
  return times[(repeats + 1) // 2]
end

-- One step of Adam on a batch; frozen: all but the last layer.
local function step(name, head_alone)
  local graph, frozen = models[name] {}.graph, {}
  local head = graph:output()
  for _, parameter in ipairs(head_alone and graph:parameters() or {}) do
    if parameter.trainable and parameter.name:sub(1, #head) ~= head then frozen[#frozen + 1] = parameter.name end
  end
  local plan = core.plan(graph, { batch = batch, training = true, backward = true, params = true, frozen = frozen })
  local optimiser = core.optimiser(graph, { frozen = frozen })
  local x, labels = core.randn(batch, 3, 224, 224, { seed = 1 }), {}
  for i = 1, batch do labels[i] = (i * 37) % 1000 + 1 end
  labels = core.tensor(labels, "int64")
  return median(function()
    local _, gradient = core.cross_entropy(plan:forward(x, 1), labels)
    plan:backward(gradient)
    optimiser:step(plan, 1e-3)
  end)
end

local function optimise(name, kind)
  local graph = models[name] {}.graph
  local plan = core.plan(graph, { training = true, backward = true, params = true })
  local optimiser = core.optimiser(graph, { kind = kind, weight_decay = 0.01 })
  local logits = plan:forward(core.randn(1, 3, 224, 224, { seed = 1 }), 1)
  plan:backward(logits + 1)
  return median(function() optimiser:step(plan, 1e-3) end)
end

local name, large = setting("MODEL", "resnet18"), setting("LARGE", "vit_b_16")
local rows = {
  { name .. ", all of it", step(name, false), { "step", name, "all" } },
  { name .. ", head alone", step(name, true), { "step", name, "head" } },
}
for _, kind in ipairs { "adam", "adamw", "sgd" } do
  rows[#rows + 1] = { large .. ", " .. kind, optimise(large, kind), { "optimise", large, kind } }
end
print(("%-24s %12s %12s"):format("ms per step", "Secateur", "PyTorch"))
for _, row in ipairs(rows) do
  local peer = "-"
  if os.getenv "PYTHON" then
    local pipe = assert(io.popen(("'%s' spec/bench/peer_training.py %s %d %s %d"):format(os.getenv "PYTHON",
      table.concat(row[3], " "), batch, setting("THREADS", 2), repeats)))
    peer = ("%.1f"):format(tonumber(pipe:read "a"))
    pipe:close()
  end
  print(("%-24s %12.1f %12s"):format(row[1], row[2], peer))
end
