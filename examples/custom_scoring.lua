-- Scoring methods of one's own beside those at hand: what a neuron is worth, in a few lines each, and how much accuracy
-- is left when neurons go by it.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("custom_scoring.lua", "Compare scoring methods of one's own with those at hand.")
parser:option("--data", "a folder of images (class per folder), .npz, .csv or KIND:PATH; phantoms if not given")
parser:option("--out", "where the report goes", "scoring")
parser:option("--epochs", "epochs of training", "12"):convert(whole)
parser:option("--per-class", "images per class that neurons are scored on", "5"):convert(whole)
parser:option("--seeds", "how many choices of images are compared", "3"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
local args = parser:parse()

-- A method is a function of the model, the split of the samples chosen, and a context; it gives a score per unit of
-- each layer that can be pruned. This one asks which units tell an image's own class from the others: how far relevance
-- for the label is from the mean of that for every other class, sample by sample.
local function contrast(model, _, ctx)
  local scores, sum = ctx:attribute { per_sample = true }, {}
  for class = 1, model.class_count do
    for name, rows in pairs(ctx:attribute { target = class, per_sample = true }) do
      sum[name] = sum[name] and sum[name] + rows or rows
    end
  end
  for name, own in pairs(scores) do
    scores[name] = (own - (sum[name] - own) / (model.class_count - 1)):abs():mean(1)
  end
  return scores
end

-- Units that are often on, and read with large weights: the share of samples on which a unit says something, times the
-- norm of its weights.
local function busy(model, samples, ctx)
  local scores = sc.importance(model, samples, { method = "magnitude" })
  for name, values in pairs(ctx:forward(nil, { at = "reader", pool = "max" })) do
    local share = {}
    for _, row in ipairs(values:totable()) do
      for unit, value in ipairs(row) do share[unit] = (share[unit] or 0) + (value > 0 and 1 / values:size(1) or 0) end
    end
    scores[name] = scores[name] * sc.tensor(share)
  end
  return scores
end

-- Units whose say depends on the image: mean activation, times the spread of the gradient over the samples.
local function swing(_, _, ctx)
  local gradients, scores = ctx:gradient(), ctx:attribute { method = "activation" }
  for name, rows in pairs(gradients) do
    local mean = rows:mean(1)
    scores[name] = scores[name] * ((rows * rows):mean(1) - mean * mean):clamp(0, math.huge):sqrt()
  end
  return scores
end

sc.main(function()
  sc.report.check()
  local out = sc.output_folder(args.out)
  local data = args.data and sc.data.open(args.data, { size = 32, seed = args.seed }) or sc.data.phantom { size = 32,
    count = 600, classes = { "normal", "effusion", "opacity" }, seed = args.seed }
  local model = sc.models.vgg { config = { 8, "M", 16, "M", 32, "M" }, hidden = { 32 }, pool = 4, batch_norm = true,
    like = data, seed = args.seed }
  sc.train(model, data, { epochs = args.epochs, lr = 3e-3, augment = false, seed = args.seed })

  local seeds = {}
  for i = 1, args.seeds do seeds[i] = args.seed + i - 1 end
  local results = sc.sweep { model = model, data = data, seeds = seeds, sampling = "random", per_class = args.per_class,
    methods = { "lrp", "magnitude", contrast = contrast, busy = busy, swing = swing },
    rates = { 0, 0.15, 0.3, 0.5, 0.7 } }
  print(results)
  print("Open " .. sc.report(results, out, { title = "Scoring methods", band = "interval" }))
end)
