-- A sampling strategy of one's own is a function. This one scores neurons on the images that the model is least sure
-- of, and is compared with two that come with Secateur: what is left of the accuracy when units go by either's scores?
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("custom_sampling.lua", "Compare a sampling strategy of one's own with those at hand.")
parser:option("--data", "a folder of images (class per folder), .npz, .csv or KIND:PATH; phantoms if not given")
parser:option("--epochs", "epochs of training", "12"):convert(whole)
parser:option("--per-class", "images per class that neurons are scored on", "10"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
local args = parser:parse()

-- Called once per class with all its images; the first `per_class` of what it returns are taken. What the model says
-- of them, `confidence` and `features`, is computed when it is first looked at.
local function hardest(pool)
  table.sort(pool, function(a, b) return a.confidence < b.confidence end)
  return pool
end

sc.main(function()
  local data = args.data and sc.data.open(args.data, { size = 32, seed = args.seed }) or sc.data.phantom { size = 32,
    count = 600, classes = { "normal", "effusion", "opacity" }, seed = args.seed }
  local model = sc.models.vgg { config = { 8, "M", 16, "M", 32, "M" }, hidden = { 32 }, pool = 4, batch_norm = true,
    like = data, seed = args.seed }
  sc.train(model, data, { epochs = args.epochs, lr = 3e-3, augment = false, seed = args.seed })

  for _, index in ipairs(sc.sample(model, data.train, { sampling = hardest, per_class = 1 })) do
    print("hardest: " .. data.train.names[index])
  end

  print(sc.sweep { model = model, data = data, methods = { "lrp" },
    sampling = { "random", "clustering", hardest = hardest }, rates = { 0, 0.15, 0.3, 0.5, 0.7 },
    per_class = args.per_class, seed = args.seed })
end)
