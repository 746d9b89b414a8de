-- How long would the paper's grid take on a cluster? Measures on this machine what the steps of a sweep take, then has
-- the tasks handed out to 1, 2, 4, ... processes on a clock that is only counted.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local function words(text)
  local list = {}
  for word in text:gmatch "[^,]+" do list[#list + 1] = word end
  return list
end

local function numbers(text)
  local list = words(text)
  for i, word in ipairs(list) do list[i] = math.tointeger(tonumber(word)) or tonumber(word) end
  return list
end

local parser = argparse("plan_cluster.lua",
  "Compute how long a sweep takes on many processes, from times measured here.")
parser:option("--models", "constructors of sc.models, separated by commas", "vgg19,resnet50,vit_b_16"):convert(words)
parser:option("--data", "NAME=TRAIN,TEST,CLASSES: a data set by its numbers of images; may be repeated; the paper's "
  .. "four if not given"):count "*"
parser:option("--size", "side of the images in pixels", "224"):convert(whole)
parser:option("--methods", "how neurons are scored, separated by commas", "lrp,dlb,ig"):convert(words)
parser:option("--rates", "pruning rates, separated by commas; 0, 0.05, ..., 0.85 if not given"):convert(numbers)
parser:option("--seeds", "how many seeds of the samplings", "5"):convert(whole)
parser:option("--per-class", "samples of each class to score with", "10"):convert(whole)
parser:option("--epochs", "epochs of training", "30"):convert(whole)
parser:option("--ranks", "numbers of processes, separated by commas", "1,2,4,8,16,32,64,128,256"):convert(numbers)
parser:option("--threads", "threads of a process, as many as times are measured with", "1"):convert(whole)
parser:option("--images", "how many images the times are measured on", "4"):convert(whole)
parser:option("--per-task", "seconds that rank 0 takes to keep a result (measured by spec/bench/dispatch.lua)", "0.004")
  :convert(tonumber)
local args = parser:parse()

-- Training and test images and classes: MURA as it comes (study types are not asked for); Kvasir v2 and CPN with a
-- fifth for testing; the fetal planes as their authors split them.
local paper = { mura = { 36808, 3197, 2 }, kvasir = { 6400, 1600, 8 }, cpn = { 4182, 1046, 3 },
  fetal = { 7129, 5271, 6 } }

local function read_datasets()
  local datasets = {}
  for name, counts in pairs(#args.data > 0 and {} or paper) do
    datasets[name] = { train = counts[1], test = counts[2], classes = counts[3] }
  end
  for _, given in ipairs(args.data) do
    local name, train, test, classes = given:match "^([^=]+)=(%d+),(%d+),(%d+)$"
    if not name then parser:error("--data wants NAME=TRAIN,TEST,CLASSES, got " .. given) end
    datasets[name] = { train = whole(train), test = whole(test), classes = whole(classes) }
  end
  return datasets
end

local function seconds_of(f)
  f() -- what is made once is not counted
  local started = sc.clock()
  f()
  return sc.clock() - started
end

-- Images of a step of training.
local BATCH = 32
-- Images that a model runs on to be timed: a run that is not counted, and five of 1 and three of 16.
local TIMED = 6 * 1 + 4 * 16

-- What training takes, per image: of batches of one image and of all, the difference is what a step of the optimiser
-- takes, which in a sweep's training is one for BATCH images.
local function measure_training(model, data, forward)
  local count = data.train:count()
  local function epoch(batch)
    local started = sc.clock()
    sc.train(model, data, { epochs = 1, batch = batch, quiet = true, augment = false })
    return sc.clock() - started
  end
  local single, together = epoch(1), epoch(count)
  local step = math.max(0, (single - together) / math.max(1, count - 1))
  return math.max(2 * forward, (together - step - data.val:count() * forward) / count) + step / BATCH
end

-- What a model's steps take here, per image. How long it takes does not depend on what was learned.
local function measure(name, data)
  local count, model = args.images, sc.models[name] { like = data }
  local positions = {}
  for i = 1, math.min(count, data.test:count()) do positions[i] = i end
  local x = data.test:batch(positions)
  local forward = seconds_of(function() model:forward(x) end) / #positions
  local training = measure_training(model, data, forward) -- first: the head of a new ViT is zero until then
  local per_sample = {}
  for _, method in ipairs(args.methods) do
    local indices = table.move(positions, 1, math.min(2, #positions), 1, {})
    per_sample[method] = seconds_of(function()
      sc.importance(model, data.test, { method = method, indices = indices })
    end) / #indices
  end
  local scores = sc.importance(model, data.test, { method = "magnitude" })
  local units = 0
  for _, tensor in pairs(scores) do units = units + (type(tensor) == "userdata" and tensor:numel() or 0) end
  -- Pruned and compacted; and timed in turns with the dense model, in batches of 1 and of 16, with half of the units.
  local row = seconds_of(function() sc.compact(sc.prune(model, scores, { rate = 0.5, repair = "none" })) end)
    + TIMED * 1.5 * forward
  local cost = sc.cost(model, { latency = false })
  return { forward = forward, training = training, scores = per_sample, row = row, units = units, bytes = cost.bytes }
end

local function print_measured(name, costs)
  local parts = {}
  for _, method in ipairs(args.methods) do
    parts[#parts + 1] = ("%s %.3g s a sample"):format(method, costs.scores[method])
  end
  print(("%s: forward %.3g s an image, training %.3g s, %s, %.3g s a row besides"):format(name, costs.forward,
    costs.training, table.concat(parts, ", "), costs.row))
end

sc.main(function()
  sc.threads(args.threads)
  local grid = { datasets = read_datasets(), models = {}, methods = args.methods, rates = args.rates,
    seeds = args.seeds, per_class = args.per_class, ranks = args.ranks, per_task = args.per_task,
    epochs = args.epochs }
  if not grid.rates then
    grid.rates = {}
    for i = 1, 18 do grid.rates[i] = (i - 1) * 0.05 end
  end
  local data = sc.data.phantom { size = args.size, count = math.max(12, 3 * args.images) }
  print(("On this machine, %d thread%s, %d pixels:"):format(sc.threads(), sc.threads() == 1 and "" or "s", args.size))
  for _, name in ipairs(args.models) do
    if not sc.models[name] then parser:error("unknown model " .. name) end
    grid.models[name] = measure(name, data)
    print_measured(name, grid.models[name])
  end

  local with_training = sc.forecast(grid)
  grid.epochs = 0
  local without = sc.forecast(grid)
  print(("\n%d tasks; days of one process: training %.2f (the longest %.2f), samples %.2f, scores %.2f, rows %.2f")
    :format(with_training.tasks, (with_training.total.model or 0) / 86400, (with_training.longest.model or 0) / 86400,
      with_training.total.samples / 86400, with_training.total.scores / 86400, with_training.total.row / 86400))
  print "\nThe whole, each model trained by one process:"
  print(with_training)
  print "\nWith models that are trained already:"
  print(without)
end)
