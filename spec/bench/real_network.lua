-- A full-size network that others trained, pruned, repaired and compacted: a VGG16 of brain MRI at 240 x 240. Accuracy
-- on images of another source (test) and on images held out of those that scores and repair are made from,
-- multiply-adds, milliseconds, bytes, and the seconds that scoring and repair take.
--
--     make bench BENCH=spec/bench/real_network.lua DATA=/path/to/data
--
-- Options through the environment:
--   DATA     the folder of mri/ and mri_vgg16.safetensors
--   RATES    "0 .3 .5 .7 .8"
--   REPAIRS  "none least_squares": each is measured, at every rate but 0
--   HELD     400: how many held-out images; TEST 394: how many test images
--   IMAGES   256: for calibration; PER_CLASS 10: to score on; METHOD "sensitivity"
--   BATCHES  "1 16": how many images a timed run has
--   THREADS  as OMP_NUM_THREADS says, is not set here
--   SAVE     a folder that compact models are saved to; none by default
local bench = require "support.bench"
local core = require "secateur.core"
local files = require "secateur.util.files"
local sc = require "secateur"

local setting, words = bench.setting, bench.words
local DATA = os.getenv "DATA" or error("DATA: expected the folder of the images", 0)

local RATES, REPAIRS = words(setting("RATES", "0 .3 .5 .7 .8")), words(setting("REPAIRS", "none least_squares"))
local HELD, TEST, IMAGES = setting("HELD", 400), setting("TEST", 394), setting("IMAGES", 256)
local BATCHES, SAVE = words(setting("BATCHES", "1 16")), setting("SAVE", "")

local function build(net, x)
  local filters, convolutions = { 64, 128, 256, 512, 512 }, { 2, 2, 3, 3, 3 }
  for block, out in ipairs(filters) do
    for i = 1, convolutions[block] do
      local conv = net:conv2d(("block%d.conv%d"):format(block, i), x, { out = out, kernel = 3, padding = 1 })
      x = net:relu(("block%d.relu%d"):format(block, i), conv)
    end
    x = net:max_pool2d(("block%d.pool"):format(block), x, { kernel = 2 })
  end
  x = net:flatten("flat", x)
  for i, out in ipairs { 64, 128, 256 } do x = net:relu("relu" .. i, net:linear("fc" .. i, x, { out = out })) end
  return net:linear("fc4", x, { out = 4 })
end

-- Some of a split, drawn by seed.
local function some(split, count)
  if count >= split:count() then return split end
  local order, chosen = core.permutation(split:count(), 1), {}
  for i = 1, count do chosen[i] = order[i] end
  table.sort(chosen)
  return split:subset(chosen)
end

local function compare(dense, pruned)
  local same = 0
  for i, class in ipairs(dense.predictions) do same = same + (class == pruned.predictions[i] and 1 or 0) end
  return same / #dense.predictions
end

local function timed(run)
  local start = core.clock()
  local result = run()
  return result, core.clock() - start
end

-- Largest difference of logits, over the largest logit.
local function gap(one, other, x)
  local a, b = one:forward(x), other:forward(x)
  return (a - b):abs():max() / a:abs():max()
end

local job = {}

-- Accuracies and costs of a model as a row; what it is held against is that of rate 0.
local function row(name, rate, model, seconds)
  local line = { ("%g"):format(rate), name }
  for _, split in ipairs { "held", "test" } do
    local result = sc.evaluate(model, job[split], { batch = 16 })
    job.dense[split] = job.dense[split] or result
    local dense = job.dense[split]
    line[#line + 1] = ("%.4f (%+.4f; %.3f)"):format(result.accuracy, result.accuracy - dense.accuracy,
      compare(dense, result))
    line[#line + 1] = ("%.4f"):format(result.balanced_accuracy)
  end
  local cost = sc.cost(model, { batches = BATCHES })
  line[#line + 1], line[#line + 2] = ("%.3f"):format(cost.macs / 1e9), ("%.2f"):format(cost.bytes / 1e6)
  for _, batch in ipairs(BATCHES) do line[#line + 1] = ("%.1f"):format(cost.latency[batch] / batch) end
  line[#line + 1] = ("%.0f"):format(cost.peak_bytes[BATCHES[#BATCHES]] / 1e6)
  line[#line + 1] = ("%.1f"):format(seconds)
  print("| " .. table.concat(line, " | ") .. " |")
end

local function heading()
  local head = { "rate", "model", "held out (change; agreement)", "balanced", "test (change; agreement)", "balanced",
    "GMAC", "MB of file" }
  for _, batch in ipairs(BATCHES) do head[#head + 1] = ("ms per image, batch %d"):format(batch) end
  head[#head + 1], head[#head + 2] = "MB of memory", "seconds to make"
  print("| " .. table.concat(head, " | ") .. " |\n" .. ("|---"):rep(#head) .. "|")
end

local function run_rate(rate, repair)
  local pruned, seconds = timed(function()
    return sc.prune(job.model, job.scores, { rate = rate, repair = repair, calibration_count = IMAGES, seed = 1,
      calibration = repair ~= "none" and job.data.train or nil })
  end)
  local compact, more = timed(function() return sc.compact(pruned) end)
  local x = job.held:batch { 1, 2, 3, 4 }
  local line = "rate %g, repair %s: masked and compact differ by %.1e of the largest logit; compacting took %.2f s\n"
  io.stderr:write(line:format(rate, repair, gap(pruned, compact, x), more))
  pruned:release()
  row(("compact, repair %s"):format(repair), rate, compact, seconds + more)
  if SAVE ~= "" then compact:save(files.join(SAVE, ("mri_vgg16-%g-%s.safetensors"):format(rate, repair))) end
end

io.stdout:setvbuf "line"
-- More is held out than by default, so that 400 are there.
local data = sc.data.folder(files.join(DATA, "mri"), { size = 240, mean = 0, std = 1,
  splits = { train = 0.65, val = 0.15, test = 0.2 } })
job.data, job.dense, job.held, job.test = data, {}, some(data.val, HELD), some(data.test, TEST)
job.model = sc.model { input = { 3, 240, 240 }, build = build }
job.model:load_state(files.join(DATA, "mri_vgg16.safetensors"))
local scoring
job.scores, scoring = timed(function()
  return sc.importance(job.model, data.train, { method = setting("METHOD", "sensitivity"), seed = 1,
    calibration_count = IMAGES, per_class = setting("PER_CLASS", 10) })
end)
print(("scoring: %.1f s on %d threads; %d held-out and %d test images\n"):format(scoring, core.threads(),
  job.held:count(), job.test:count()))
heading()
for _, rate in ipairs(RATES) do
  if rate == 0 then
    row("dense", 0, job.model, 0)
  else
    for _, repair in ipairs(REPAIRS) do run_rate(rate, repair) end
  end
end
