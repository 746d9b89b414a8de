-- Sampling strategies of one's own beside those at hand: where do their picks lie among the training images, and how
-- much accuracy is left when neurons go by scores from either's? Draws both.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("custom_sampling.lua", "Compare sampling strategies of one's own with those at hand.")
parser:option("--data", "a folder of images (class per folder), .npz, .csv or KIND:PATH; phantoms if not given")
parser:option("--out", "where pictures and report go", "sampling")
parser:option("--epochs", "epochs of training", "12"):convert(whole)
parser:option("--per-class", "images per class that neurons are scored on", "5"):convert(whole)
parser:option("--seeds", "how many halves of the training images are drawn", "3"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
local args = parser:parse()

-- A strategy is a function, called once per class with all its images; the first `per_class` of what it returns are
-- taken. This one takes what the model gets wrong or nearly so. `loss`, like `confidence`, `margin` or `features`, is
-- computed when it is first looked at.
local function hardest(pool)
  table.sort(pool, function(a, b) return a.loss > b.loss end)
  return pool
end

-- This one wants images that are typical, but not alike: one from each fifth of the class, by distance from its mean.
local function ladder(pool, ctx)
  local features, distance = ctx:features_matrix(), {}
  local from_mean = sc.cluster.distances(features, features:mean(1):reshape(1, -1))
  for i, entry in ipairs(pool) do distance[entry] = from_mean:get(i, 1) end
  table.sort(pool, function(a, b) return distance[a] < distance[b] end)
  local chosen = {}
  for rung = 1, math.min(#pool, ctx.count) do
    chosen[rung] = pool[1 + math.floor((rung - 1) * #pool / math.min(#pool, ctx.count))]
  end
  return chosen
end

local strategies = {
  { "random", "random" },
  { "clustering", "clustering" },
  { "coverage", "coverage" },
  { "hardest", hardest },
  { "ladder", ladder },
  { "central, spread", sc.sampling.chain(sc.sampling.take(0.5, "prototypes"), "coverage") },
}

-- Features of all training images: a strategy over all classes sees them, and may choose nothing.
local function features_of(model, split, known)
  local matrix, row_of = nil, {}
  sc.sample(model, split, { known = known, sampling = { scope = "all", choose = function(pool, ctx)
    matrix = ctx:features_matrix()
    for row, entry in ipairs(pool) do row_of[entry.index] = row end
    return {}
  end } })
  return matrix, row_of
end

-- A panel per strategy: all images in grey, its picks by class.
local function draw_picks(model, split, path)
  local known = {} -- what the model says of the images, which all strategies share
  local matrix, row_of = features_of(model, split, known)
  local flat, _, variances = sc.cluster.pca(matrix, 2)
  local panels = {}
  for i, strategy in ipairs(strategies) do
    local rows, series = {}, {}
    for class = 0, #split.classes do rows[class] = {} end
    local chosen = sc.sample(model, split, { sampling = strategy[2], per_class = args.per_class, seed = args.seed,
      known = known })
    for j, index in ipairs(chosen) do -- of several findings, the one that the image was chosen for; 0 for none
      table.insert(rows[chosen.findings and chosen.findings[j] or split.labels[index]], row_of[index])
    end
    for class = 0, #split.classes do
      local name = split.classes[class] or "no finding"
      if #rows[class] > 0 then series[#series + 1] = { name = name, points = flat:take(1, rows[class]) } end
    end
    panels[i] = { title = strategy[1], series = series }
  end
  print(("Principal components of features: %.3g and %.3g of variance"):format(variances:get(1), variances:get(2)))
  return sc.report.scatter(panels, path, { background = flat, background_name = "training images",
    x_label = "first component", y_label = "second component" })
end

sc.main(function()
  sc.report.check()
  local out = sc.output_folder(args.out)
  local data = args.data and sc.data.open(args.data, { size = 32, seed = args.seed }) or sc.data.phantom { size = 32,
    count = 600, classes = { "normal", "effusion", "opacity" }, seed = args.seed }
  local model = sc.models.vgg { config = { 8, "M", 16, "M", 32, "M" }, hidden = { 32 }, pool = 4, batch_norm = true,
    like = data, seed = args.seed }
  sc.train(model, data, { epochs = args.epochs, lr = 3e-3, augment = false, seed = args.seed })
  local _, picture = draw_picks(model, data.train, out .. "/picks")
  print("Where the picks lie: " .. picture)

  -- Each strategy chooses from a half of the images that the seed draws, so that intervals over seeds tell what luck
  -- has to do with it.
  local sampling, seeds = {}, {}
  for _, strategy in ipairs(strategies) do
    sampling[strategy[1]] = sc.sampling.chain(sc.sampling.take(0.5, "random"), strategy[2])
  end
  for i = 1, args.seeds do seeds[i] = args.seed + i - 1 end
  local results = sc.sweep { model = model, data = data, methods = { "lrp" }, sampling = sampling, seeds = seeds,
    rates = { 0, 0.15, 0.3, 0.5, 0.7 }, per_class = args.per_class }
  print(results)
  print("Open " .. sc.report(results, out, { title = "Sampling strategies", band = "interval" }))
end)
