--- The steps of a pipeline, small, each with what it needs prepared, for spec/support/pressure.lua: run under failing
-- allocations, a step gives the right result or an error.
local core = require "secateur.core"
local coroutine_group = require "support.coroutine_group"
local files = require "secateur.util.files"
local fingerprint = require "secateur.util.fingerprint"
local options = require "secateur.util.options"
local pictures = require "support.pictures"
local sc = require "secateur"

local steps, folder = {}, nil

local function path(name) return files.join(folder, name) end

local function content(name) return fingerprint.text(assert(files.read_all(path(name)))) end

local function build(net, x)
  x = net:relu("r1", net:batch_norm2d("n1", net:conv2d("c1", x, { out = 4, kernel = 3, padding = 1 })))
  x = net:relu("r2", net:conv2d("c2", net:max_pool2d("p", x, { kernel = 2 }), { out = 4, kernel = 3, padding = 1 }))
  return net:linear("out", net:flatten("flat", net:adaptive_avg_pool2d("mean", x, { output = 1 })), { out = 2 })
end

local function network() return sc.model { input = { 1, 8, 8 }, build = build, seed = 3 } end

local function parameters(model)
  local texts = {}
  for i, parameter in ipairs(model.graph:parameters()) do
    texts[i] = parameter.name .. table.concat(parameter.tensor and parameter.tensor:shape() or {}, "x")
  end
  return table.concat(texts, " ") .. sc.fingerprint(model)
end

local function numbers(value) return sc.fingerprint(value) end

local function data() return sc.data.open(path "images", { size = 8, channels = 1, seed = 1, quiet = true }) end

--- Adds a step: `prepare()` gives its arguments, `run(...)` does it, `digest(result)` says what came of it, and
-- `makes` are the files it makes in the folder; after an error none of them is there, unless it `keeps` what is
-- whole, or has come to the end before: to the file that it `keeps`.
local function step(name, prepare, run, digest, makes, keeps)
  steps[#steps + 1] = { name = name, prepare = prepare, run = run, digest = digest, makes = makes or {}, keeps = keeps }
end

local function none() end

--- Writes what the steps read.
-- @string root an empty folder
function steps.begin(root)
  folder = root
  for class, name in ipairs { "low", "high" } do
    for i = 1, 6 do pictures.save(path "images", ("%s/%d.png"):format(name, i), class / 3 + i / 40) end
  end
  local model = network()
  model:save(path "kept.safetensors")
  sc.save_npz(path "kept.npz", { a = core.randn(7, 5, { seed = 1 }) })
  sc.safetensors.save(path "kept.tensors.safetensors", { a = core.randn(7, 5, { seed = 1 }) }, { some = "text" })
end

step("model", none, network, parameters)
step("forward", function() return network(), core.randn(2, 1, 8, 8, { seed = 5 }) end,
  function(model, x) return model:forward(x) end, numbers)
step("load", none, function() return sc.load(path "kept.safetensors") end, parameters)
step("save", network, function(model) model:save(path "made.safetensors") return true end,
  function() return content "made.safetensors" end, { "made.safetensors" })
step("safetensors", none, function() return (sc.safetensors.load(path "kept.tensors.safetensors").a) end, numbers)
step("image_save", function() return core.rand(3, 20, 20, { seed = 1 }) end,
  function(image) core.image_save(path "made.png", image) return true end,
  function() return content "made.png" end, { "made.png" })
step("npz", none, function() return sc.npz(path "kept.npz").a end, numbers)
step("export", network, function(model) model:export_onnx(path "made.onnx") return true end,
  function() return content "made.onnx" end, { "made.onnx" })
step("checkpoint", none, function() return sc.load_weights "spec/fixtures/checkpoints/protocol4.pth" end,
  function(tensors)
    local texts = {}
    for _, name in ipairs(options.sorted_keys(tensors)) do texts[#texts + 1] = name .. numbers(tensors[name]) end
    return table.concat(texts, " ")
  end)

-- Images by the library that decodes them; what a build cannot read is no step of it. Not here is what falls over a
-- small allocation that fails inside a library: libtiff's directories, JPEG and JPEG 2000 in DICOM. There the core
-- makes sure beforehand that the system has what the call may take (csrc/image/codec.h).
for name, format in pairs { ["images/colour.jpg"] = "stb", ["images/colour16.png"] = "stb",
  ["clinic/lossy.webp"] = "WebP", ["clinic/ct_rle.dcm"] = "DICOM", ["clinic/ct_jpeg_ls.dcm"] = "DICOM" } do
  if format == "stb" or core.codecs()[format] == true then
    step("image " .. name, none, function()
      return sc.image("spec/fixtures/" .. name, { size = 16, channels = 1 })
    end, numbers)
  end
end

step("csv", function()
  local rows = { "file,label" }
  for _, class in ipairs { "low", "high" } do
    for i = 1, 6 do rows[#rows + 1] = ("images/%s/%d.png,%s"):format(class, i, class) end
  end
  assert(files.write_all(path "table.csv", table.concat(rows, "\n") .. "\n"))
end, function() return sc.data.open(path "table.csv", { size = 8, channels = 1, seed = 1, quiet = true }) end, numbers)

step("data", none, data, function(found)
  return ("%d %d %d "):format(found.train:count(), found.val:count(), found.test:count()) .. numbers(found)
end)

for _, method in ipairs { "lrp", "dlb", "ig" } do
  step(method, function() return network(), core.randn(2, 1, 8, 8, { seed = 5 }) end,
    function(model, x) return sc.attribute(model, x, { method = method, steps = method == "ig" and 2 or nil }) end,
    function(result) return numbers(result.input or result) end)
end

step("evaluate", function() return network(), data() end, function(model, set)
  return sc.evaluate(model, set.train, { batch = 4 })
end, function(result) return ("%.9g %.9g"):format(result.accuracy, result.loss) end)

step("predict", function() return network(), data() end, function(model, set)
  return sc.predict(model, set.train, { batch = 4 })
end, function(result) return tostring(#result) end)

for _, how in ipairs { "clustering", "confidence", "coverage", "random" } do
  step("sample " .. how, function() return network(), data() end, function(model, set)
    return sc.sample(model, set.train, { sampling = how, per_class = 2, seed = 1 })
  end, function(result) return table.concat(result, " ") end)
end

step("sample by a chain over all classes", function() return network(), data() end, function(model, set)
  return sc.sample(model, set.train, { per_class = 2, seed = 1,
    sampling = sc.sampling.chain(sc.sampling.take(0.5, "margin"), sc.sampling.over_all "herding") })
end, function(result) return table.concat(result, " ") end)

step("pca", function() return core.randn(12, 6, { seed = 5 }) end, function(x) return sc.cluster.pca(x, 2) end, numbers)

step("importance", function() return network(), data() end, function(model, set)
  return sc.importance(model, set.train, { method = "lrp", per_class = 2, seed = 1 })
end, function(scores) return numbers(scores.c1) .. numbers(scores.c2) end)

local function scored()
  local model, set = network(), data()
  return model, sc.importance(model, set.train, { method = "lrp", per_class = 2, seed = 1 }), set
end

step("prune", scored, function(model, scores)
  return sc.prune(model, scores, { rate = 0.5, repair = "none" })
end, parameters)
step("repair", scored, function(model, scores, set)
  return sc.prune(model, scores, { rate = 0.5, repair = "least_squares", calibration = set.train })
end, parameters)
step("compact", function()
  local model, scores = scored()
  return sc.prune(model, scores, { rate = 0.5, repair = "none" })
end, function(model) return sc.compact(model) end, parameters)

step("train", function() return network(), data() end, function(model, set)
  sc.train(model, set, { epochs = 1, batch = 4, seed = 1, quiet = true, augment = false, checkpoint = path "made.run" })
  return model
end, parameters, { "made.run" }, true)

step("train in pieces", function() return network(), data() end, function(model, set)
  sc.train(model, set, { epochs = 1, batch = 6, micro_batch = 2, seed = 1, quiet = true, augment = false })
  return model
end, parameters)

step("train over ranks", function() return { network(), network() }, { data(), data() } end, function(models, sets)
  for _, outcome in ipairs(coroutine_group.run(2, function(group)
    local rank = group.rank + 1
    sc.train(models[rank], sets[rank], { epochs = 1, batch = 6, micro_batch = 2, seed = 1, quiet = true,
      group = group })
  end)) do
    if outcome.problem then error(outcome.problem, 0) end
  end
  return models[2]
end, parameters)

step("resume", function()
  files.remove(path "begun.run")
  local model, set = network(), data()
  sc.train(model, set, { epochs = 1, batch = 4, seed = 1, quiet = true, augment = false,
    checkpoint = path "begun.run" })
  return network(), set
end, function(model, set)
  sc.train(model, set, { epochs = 2, batch = 4, seed = 1, quiet = true, augment = false,
    checkpoint = path "begun.run" })
  return model
end, parameters)

local function sweep(model, set, store)
  return sc.sweep { model = model, data = set, methods = { "lrp" }, sampling = { "random" }, rates = { 0, 0.5 },
    per_class = 2, seed = 1, progress = false, latency = false, store = store, repair = { "none" } }
end

step("sweep", function() return network(), data() end, function(model, set)
  return sweep(model, set, path "made.db")
end, function(results)
  local texts = {}
  for i, row in ipairs(results.rows or results) do texts[i] = ("%s %.9g"):format(row.method, row.accuracy) end
  return table.concat(texts, "|")
end, { "made.db", "made.db-wal", "made.db-shm" }, true) -- who has no memory left cannot take the log into the file

step("report", function() return sweep(network(), data()) end, function(results)
  return sc.report(results, path "made report")
end, function() return "written" end, { "made report" }, "index.html")

step("heatmaps", function() return network(), data() end, function(model, set)
  return sc.heatmaps(model, set.train, { dir = path "made heatmaps", per_class = 1, methods = { "lrp" } })
end, function() return "written" end, { "made heatmaps" }, true)

return steps
