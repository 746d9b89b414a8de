-- Wall time of a sweep with masked and with compact models: 18 rates x 9 scorings on chest X-rays.
--
--     make bench BENCH=spec/bench/sweep_time.lua DATA=/path/to/data
--
-- Options through the environment: DATA, the folder of cpn/; MODEL ("resnet50", without training: times do not depend
-- on it), SIZE (224), METHODS ("lrp dlb ig") x SAMPLINGS ("clustering confidence random"), RATES ("0 .05 .1 … .85"),
-- REPAIRS ("none"), EVALUATE ("masked compact"), THREADS (2), TRAIN and TEST (0: how many images of these splits are
-- used; 0 for all), PER_CLASS (10), BATCH (16). Where only a part was run, the first line says so. Each sweep is a
-- process of its own.
local bench = require "support.bench"
local core = require "secateur.core"

local setting, words = bench.setting, bench.words

local DEFAULT_RATES = "0 .05 .1 .15 .2 .25 .3 .35 .4 .45 .5 .55 .6 .65 .7 .75 .8 .85"
local RATES = words(setting("RATES", DEFAULT_RATES))
local METHODS, SAMPLINGS = words(setting("METHODS", "lrp dlb ig")), words(setting("SAMPLINGS",
  "clustering confidence random"))
local SIZE, THREADS, TRAIN, TEST = setting("SIZE", 224), setting("THREADS", 2), setting("TRAIN", 0), setting("TEST", 0)

-- Some of a split, as evenly over its classes as the whole.
local function some(split, count)
  if count == 0 or count >= split:count() then return split end
  local order, chosen = core.permutation(split:count(), 1), {}
  for i = 1, count do chosen[i] = order[i] end
  table.sort(chosen)
  return split:subset(chosen)
end

local function measure(evaluate)
  local sc = require "secateur"
  local data = sc.data.cpn((os.getenv "DATA" or error("DATA: expected the folder of the images", 0)) .. "/cpn",
    { size = SIZE, quiet = true })
  data.train, data.test = some(data.train, TRAIN), some(data.test, TEST)
  local model = sc.models[setting("MODEL", "resnet50")] { size = SIZE, classes = #data.classes }
  local start = core.clock()
  local results = sc.sweep { model = model, data = data, methods = METHODS, sampling = SAMPLINGS, rates = RATES,
    per_class = setting("PER_CLASS", 10), evaluate = evaluate, repair = words(setting("REPAIRS", "none")),
    batch = setting("BATCH", 16) }
  print(("rows %d test %d"):format(#results, data.test:count()))
  print(("ms %.3f peak %.1f"):format((core.clock() - start) * 1000, bench.peak()))
end

local function report()
  local full = TRAIN == 0 and TEST == 0 and #RATES == 18 and #METHODS * #SAMPLINGS == 9
  print(("%s at %d x %d: %d rates x %d scorings, repairs: %s%s"):format(setting("MODEL", "resnet50"), SIZE, SIZE,
    #RATES, #METHODS * #SAMPLINGS, setting("REPAIRS", "none"), full and "" or "; a part of the whole"))
  print(("%-10s %6s %12s %10s %10s"):format("evaluated", "rows", "test images", "seconds", "peak MB"))
  for _, evaluate in ipairs(words(setting("EVALUATE", "masked compact"))) do
    local ms, peak, text = bench.child({ evaluate }, THREADS)
    local rows, images = text:match "rows (%d+) test (%d+)"
    print(("%-10s %6s %12s %10s %10s"):format(evaluate, rows or "", images or "", ms and ("%.1f"):format(ms / 1000)
      or "failed", peak and ("%.0f"):format(peak) or ""))
  end
end

io.stdout:setvbuf "line"
if arg[1] == "child" then measure(arg[2]) else report() end
