--- What is compared to the bit: checksums of results, by network and quantity.
--
-- A configuration is `{ threads =, batch = }`. What is told of each sample by itself is computed in batches of that
-- many; training has its own batches, for there the samples of one do concern each other.
local core = require "secateur.core"
local digest = require "support.bits_digest"
local nets = require "support.bits_nets"
local sc = require "secateur"

local measures = {}

local SCORED, CALIBRATED, STEP_BATCH = 4, 20, 8

-- All parameters of a model, in the order of the graph.
local function of_state(model)
  local sum = digest.new()
  for _, p in ipairs(model.graph:parameters()) do sum:text(p.name):tensor(model.graph:parameter(p.name)) end
  return sum
end

-- ---- of one network ----

local function weights(job)
  job.emit("weights", of_state(job.net.make()))
end

-- Logits, gradients: batch after batch, as the user of a model would run it.
local function passes(job)
  local sums = { logits = digest.new(), ["gradient, input"] = digest.new(), ["gradient, inside"] = digest.new() }
  for first = 1, job.x:size(1), job.batch do
    local part = job.x:view(first, math.min(first + job.batch - 1, job.x:size(1)))
    sums.logits:tensor(job.model:forward(part))
    local gradients = job.model:gradient(part)
    sums["gradient, input"]:tensor(gradients.input)
    sums["gradient, inside"]:tensor(gradients[job.net.mid])
  end
  for name, sum in pairs(sums) do job.emit(name, sum) end -- in any order: they are told apart by name
end

local function explain(job, name, opts)
  opts.batch, opts.layers = job.batch, { job.net.mid }
  local result = sc.attribute(job.model, job.x, opts)
  job.emit(name .. ", input", digest.new():tensor(result.input))
  job.emit(name .. ", inside", digest.new():tensor(result.layers[job.net.mid]))
end

local function attributions(job)
  for _, composite in ipairs(job.net.composites) do
    explain(job, "lrp " .. composite, { method = "lrp", composite = composite })
  end
  for _, mode in ipairs(job.net.modes) do explain(job, "dlb " .. mode, { method = "dlb", mode = mode }) end
  explain(job, "ig", { method = "ig", steps = 2, target = 1 })
  if job.net.guided then explain(job, "guided_backprop", { method = "guided_backprop" }) end
  if job.net.name == "vgg" then
    explain(job, "smoothgrad", { method = "smoothgrad", samples = 2, seed = 9 })
  end
end

-- Sampling by clusters, scores of the neurons of what it chose, and pruning by them.
local function scores(job)
  if not job.net.score then return end
  local opts = { per_class = SCORED, batch = job.batch, reduce = "sum" }
  for key, value in pairs(job.net.score) do opts[key] = value end
  local found = sc.importance(job.model, job.data.train, opts)
  local sum = digest.new()
  for _, name in ipairs(found.provenance.layers) do sum:text(name):tensor(found[name]) end
  job.emit("clustering", digest.new():plain(found.provenance.indices))
  for _, name in ipairs { "confidence", "coverage", "entropy", "herding", "margin", "prototypes" } do
    job.emit("sampling, " .. name, digest.new():plain(sc.sample(job.model, job.data.train,
      { sampling = name, per_class = SCORED, batch = job.batch })))
  end
  job.emit("importance " .. opts.method, sum)
  job.emit("prune", of_state(sc.prune(job.model, found, { rate = 0.4, repair = "none" })))
end

-- Scores that know of redundancy, and least squares after pruning by them.
local function repair(job)
  if not job.net.score then return end
  local found = sc.importance(job.model, job.data.train, { per_class = SCORED, batch = job.batch,
    calibration_count = CALIBRATED })
  local sum = digest.new()
  for _, name in ipairs(found.provenance.layers) do sum:text(name):tensor(found[name]) end
  job.emit("importance sensitivity", sum)
  job.emit("prune, repaired", of_state(sc.prune(job.model, found, { rate = 0.4, calibration_count = CALIBRATED })))
end

local function metrics(job)
  if not job.net.score then return end
  local found = sc.evaluate(job.model, job.data.test, { batch = job.batch })
  local plain = {}
  for key, value in pairs(found) do
    if key ~= "seconds" and key ~= "head" and key ~= "skipped" then plain[key] = value end -- what is measured
  end
  job.emit("evaluate", digest.new():plain(plain))
end

-- Five steps; batch norms and dropouts as in training.
local function training(job)
  if not job.net.train or job.batch ~= nets.samples then return end
  local opts = { epochs = 1, batch = STEP_BATCH, quiet = true }
  for key, value in pairs(job.net.train) do opts[key] = value end
  local model = nets.model(job.net)
  local history = sc.train(model, { train = job.data.train, classes = job.data.classes }, opts)
  job.emit("train " .. opts.optimiser, of_state(model):plain(history[1].train_loss))
end

-- ---- of none ----

local function drawn(emit)
  emit("randn", digest.new():tensor(core.randn(5000, { seed = 3, mean = 0.3, std = 1.7 })))
  emit("randn, truncated", digest.new():tensor(core.randn(5000, { seed = 4, std = 0.5, truncate = 2 })))
  emit("rand", digest.new():tensor(core.rand(5000, { seed = 5, low = -2, high = 3 })))
  emit("permutation", digest.new():plain(core.permutation(1000, 6)))
end

local function arithmetic(emit)
  local a, b = core.randn(13, 1100, { seed = 7 }), core.randn(1100, 37, { seed = 8 })
  local wide, tall = core.randn(150, 700, { seed = 16 }), core.randn(700, 190, { seed = 17 }) -- work for all threads
  emit("matmul", digest.new():tensor(a:matmul(b)):tensor(wide:matmul(tall)))
  emit("sums", digest.new():tensor(a:sum(1)):tensor(a:sum(2)):plain { a:sum(), a:mean() })
  emit("exp, log, sqrt", digest.new():tensor(a:exp()):tensor(a:abs():log()):tensor(a:abs():sqrt()))
  emit("order", digest.new():tensor(a:argsort(2)):tensor((a * 4):clamp(-3, 3):rank(2)))
  local centroids, assignment, nearest = core.kmeans(b, 7, { seed = 2 })
  emit("kmeans", digest.new():tensor(centroids):tensor(assignment):plain(nearest))
  local flat, components, variances = sc.cluster.pca(b, 3)
  emit("pca", digest.new():tensor(flat):tensor(components):tensor(variances))
  emit("distances", digest.new():tensor(sc.cluster.distances(b, b:view(1, 5), { metric = "cosine" }))
    :plain((sc.cluster.k_centre(b, 6))))
  emit("blur", digest.new():tensor(core.gaussian_blur(a:reshape(13, 1, 44, 25), 1.7)))
  local labels = core.tensor({ 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6 }, "int64")
  local logits = a:matmul(b):view(1, 13) * 0.1
  local balance = core.rand(37, { seed = 10 })
  local loss, slope = core.cross_entropy(logits, labels, balance, 0.1)
  emit("loss", digest.new():tensor(slope):plain(loss):tensor(core.softmax(logits)))
end

local function pictures(emit)
  local everything = { scale = { 0.5, 1 }, ratio = { 0.7, 1.4 }, hflip = 0.5, vflip = 0.5, rotation = 40,
    brightness = 0.3, contrast = 0.3, saturation = 0.3 }
  local grey = nets.data()
  local indices = {}
  for i = 1, grey.train:count() do indices[i] = i end
  emit("phantoms", digest.new():tensor((grey.train:batch(indices))))
  local sum = digest.new()
  for x, y in grey.train:batches { batch = 7, shuffle = true, seed = 4, augment = everything, workers = 2 } do
    sum:tensor(x):tensor(y)
  end
  emit("augmentation, grey", sum)
  local pixels = {}
  for i = 1, 9 * 31 * 23 * 3 do pixels[i] = core.mix(12, i) % 256 end
  local coloured = core.image_source { kind = "pixels", pixels = core.tensor(pixels, "uint8"):reshape(9, 31, 23, 3) }
  emit("augmentation, colour", digest.new():tensor((coloured:batch({ 1, 2, 3, 4, 5, 6, 7, 8, 9 },
    { size = 19, augment = everything, seed = 13 }))))
  emit("resize", digest.new():tensor(core.image_resize(core.rand(2, 29, 41, { seed = 14 }), 17, 50)))
end

local stages = { weights, passes, attributions, scores, repair, metrics, training }

--- Computes all checksums in one configuration.
-- @tab config
-- @func emit function(net, quantity, checksum); "general" for what belongs to no network
function measures.run(config, emit)
  core.threads(config.threads)
  local data = nets.data()
  local x = nets.images(data)
  for _, net in ipairs(nets.list) do
    local model = nets.model(net)
    local own = net.score and x or core.randn(nets.samples, 3, 17, 14, { seed = 15 })
    local job = { net = net, model = model, data = data, x = own, batch = config.batch,
      emit = function(quantity, sum) emit(net.name, quantity, tostring(sum)) end }
    for _, stage in ipairs(stages) do stage(job) end
    model:release()
  end
  for _, part in ipairs { drawn, arithmetic, pictures } do
    part(function(quantity, sum) emit("general", quantity, tostring(sum)) end)
  end
end

return measures
