-- What pruned models cost at full size: parameters, multiply-adds, file, memory and time of masked and compact models,
-- at every rate. Weights and plans are random, the same share of every layer.
--
--     make bench BENCH=spec/bench/pruned_speed.lua
--
-- Options through the environment: MODELS ("vgg19 resnet50 vit_b_16"), RATES ("0 .1 .2 .3 .4 .5 .6 .7 .8 .9"), SIZE
-- (224), BATCHES ("1 16"), THREADS (2), ROUNDS (3: in each, masked and compact are measured once, in processes of their
-- own; medians count), REPEATS (5: runs of a measurement).
local bench = require "support.bench"
local core = require "secateur.core"

local setting, words = bench.setting, bench.words

local MODELS = words(setting("MODELS", "vgg19 resnet50 vit_b_16"))
local RATES = words(setting("RATES", "0 .1 .2 .3 .4 .5 .6 .7 .8 .9"))
local SIZE, BATCHES, THREADS, ROUNDS, REPEATS = setting("SIZE", 224), words(setting("BATCHES", "1 16")),
  setting("THREADS", 2), setting("ROUNDS", 3), setting("REPEATS", 5)

-- ---- in a child ----

local function pruned(sc, name, rate)
  local model, scores = bench.model(name, SIZE), {}
  if rate == 0 then return model end
  for i, layer in ipairs(model:layers()) do scores[layer.name] = core.rand(layer.units, { seed = i }) end
  return sc.prune(model, scores, { rate = rate, scope = "layer", repair = "none" })
end

-- Prints name and value of each figure. The process's own peak would be that of making the model.
local function measure(kind, name, rate)
  local sc = require "secateur"
  local model = pruned(sc, name, tonumber(rate))
  local start = core.clock()
  if kind == "compact" then model = sc.compact(model) end
  print(("seconds %.2f"):format(core.clock() - start))
  collectgarbage()
  local cost = sc.cost(model, { batches = BATCHES, repeats = REPEATS })
  print(("parameters %d\nmacs %.0f\nbytes %d"):format(cost.parameters, cost.macs, cost.bytes))
  for _, batch in ipairs(BATCHES) do
    print(("ms%d %.4f\npeak%d %d"):format(batch, cost.latency[batch] / batch, batch, cost.peak_bytes[batch]))
  end
end

-- ---- the rounds ----

local function ask(kind, name, rate)
  local _, _, text = bench.child({ kind, name, rate }, THREADS)
  local figures = {}
  for key, value in text:gmatch "(%w+) ([%d.]+)" do figures[key] = tonumber(value) end
  if not figures.bytes then error(("%s of %s at %g failed"):format(kind, name, rate), 0) end
  return figures
end

-- Medians of all figures over the rounds, for masked and compact.
local function compare(name, rate)
  local lists, kinds = { masked = {}, compact = {} }, { "masked", "compact" }
  for round = 1, ROUNDS do
    for i = 1, 2 do
      local kind = kinds[(round + i) % 2 + 1]
      for key, value in pairs(ask(kind, name, rate)) do
        lists[kind][key] = lists[kind][key] or {}
        table.insert(lists[kind][key], value)
      end
    end
  end
  for _, figures in pairs(lists) do
    for key, list in pairs(figures) do figures[key] = bench.median(list) end
  end
  return lists.masked, lists.compact
end

local function heading(name)
  local head = { "rate", "M parameters", "GMAC", "MB of file" }
  for _, batch in ipairs(BATCHES) do
    head[#head + 1], head[#head + 2] = ("ms per image, batch %d"):format(batch), ("MB, batch %d"):format(batch)
  end
  head[#head + 1] = "seconds to compact"
  print(("\n%s at %d x %d, %d threads: masked → compact\n"):format(name, SIZE, SIZE, THREADS))
  print("| " .. table.concat(head, " | ") .. " |\n" .. ("|---"):rep(#head) .. "|")
end

local function row(rate, masked, compact)
  local line = { ("%g"):format(rate) }
  local function add(key, unit, format, ratio)
    local text = (format .. " → " .. format):format(masked[key] / unit, compact[key] / unit)
    line[#line + 1] = ratio and ("%s (%.2f×)"):format(text, masked[key] / compact[key]) or text
  end
  add("parameters", 1e6, "%.1f")
  add("macs", 1e9, "%.2f")
  add("bytes", 1e6, "%.1f")
  for _, batch in ipairs(BATCHES) do
    add("ms" .. batch, 1, "%.1f", true)
    add("peak" .. batch, 1e6, "%.0f")
  end
  line[#line + 1] = ("%.2f"):format(compact.seconds)
  print("| " .. table.concat(line, " | ") .. " |")
end

io.stdout:setvbuf "line"
if arg[1] == "child" then
  measure(arg[2], arg[3], arg[4])
else
  for _, name in ipairs(MODELS) do
    heading(name)
    for _, rate in ipairs(RATES) do row(rate, compare(name, rate)) end
  end
end
