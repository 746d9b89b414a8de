-- The paper's grid: methods x samplings x rates x seeds over models and data sets, with its Table 1 and figures.
-- Interrupted, it goes on where it was: give it the same --store again. With more --rates, --seeds, --methods or data
-- sets it computes what is missing.
-- On several processes or machines: mpirun -n 16 lua5.4 examples/paper_table.lua ...; --models-dir has to be a folder
-- that all of them see.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("paper_table.lua", "Reproduce the paper's Table 1 and figures.")
parser:option("--data", "NAME=PATH of a data set (a folder, .npz, .csv, or KIND:PATH such as mura:folder); may be "
  .. "repeated; phantoms if not given"):count "*"
parser:option("--model", "small_vgg, small_resnet, small_vit, or vgg19, resnet50, vit_b_16, ...; may be repeated")
  :count "*"
parser:option("--size", "side of the images in pixels; 64 if not given (.npz: as stored)"):convert(whole)
parser:option("--epochs", "epochs of training", 20):convert(whole)
parser:option("--rates", "pruning rates, separated by commas", "0,0.15,0.3,0.5,0.7")
parser:option("--seeds", "seeds of the samplings, separated by commas", "0")
parser:option("--per-class", "samples of each class to score with", 10):convert(whole)
parser:option("--methods", "how neurons are scored, separated by commas", "lrp,dlb,ig")
parser:option("--repair", "repairs to compare, separated by commas, among none, bias, batch_norm, least_squares; "
  .. "the paper has none", "none")
parser:flag("--redundancy", "score with redundancy as well, which the paper has not")
parser:option("--store", "SQLite file that the rows go to", "paper.db")
parser:option("--models-dir", "folder for trained models, which are not trained again", "paper-models")
parser:option("--out", "where the report goes", "report")
parser:option("--metric", "what the report is about, separated by commas: accuracy, balanced_accuracy, auroc, ece, "
  .. "decision_agreement, ...; all but accuracy want rate 0 among the rates", "accuracy")
local args = parser:parse()

local function words(text)
  local list = {}
  for item in text:gmatch("[^,]+") do list[#list + 1] = item end
  return list
end

local function numbers(text)
  local list = words(text)
  for i, item in ipairs(list) do list[i] = math.tointeger(tonumber(item)) or tonumber(item) end
  return list
end

local architectures = {
  small_vgg = function(data)
    return sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M", 128, 128, "M" }, hidden = { 128 },
      pool = 2, batch_norm = true, like = data }
  end,
  small_resnet = function(data)
    return sc.models.resnet { block = "basic", stem = 32, planes = { 32, 64, 128 }, blocks = { 2, 2, 2 }, like = data }
  end,
  small_vit = function(data)
    local patch = data.size // 8
    while data.size % patch > 0 do patch = patch - 1 end
    return sc.models.vit { patch = patch, layers = 4, heads = 4, dim = 96, mlp = 192, like = data }
  end,
}

-- The numbers of a training, as a model's file keeps them: whichever process trains, the report has the curves. Without
-- times: the size of the file is a column of the table, and is to be the same every time.
local timings = { seconds = true, images_per_second = true }

local function plain(history)
  local epochs = {}
  for i, entry in ipairs(history) do
    epochs[i] = {}
    for name, value in pairs(entry) do
      epochs[i][name] = not timings[name] and type(value) == "number" and value or nil
    end
  end
  return epochs
end

-- The model of an architecture that has learned a data set: an earlier one, if it has learned the same in the same way.
local function trained(name, data, data_name)
  local key = sc.fingerprint(data, { architecture = name, epochs = args.epochs })
  local path = ("%s/%s-%s-%s.safetensors"):format(args.models_dir, data_name, name, key:sub(1, 8))
  local file <close> = io.open(path)
  if file then
    local model = sc.load(path)
    if model.info.trained == key then return model end
    io.stderr:write(("paper_table.lua: %s has learned something else: trained anew\n"):format(path))
  end
  local make = architectures[name] or function(like) return sc.models[name] { like = like } end
  local model = make(data)
  model.info.history = plain(sc.train(model, data, { epochs = args.epochs }))
  model.info.trained = key
  model:save(path)
  return model
end

-- What is left of what a model looks at with half of the neurons, where models are repaired.
local function pruned_half(model, data)
  local repair = words(args.repair)
  repair = repair[#repair]
  if repair == "none" then return nil end
  local scores = sc.importance(model, data.train, { method = words(args.methods)[1], redundancy = args.redundancy })
  return sc.compact(sc.prune(model, scores, { rate = 0.5, repair = repair }))
end

-- Looks at what is written before the work. Of several processes the first alone writes, but for the models.
local function check_outputs()
  sc.report.check { metric = words(args.metric) }
  sc.output_file(args.store)
  sc.output_folder(args.models_dir)
  sc.output_folder(args.out)
end

sc.main(function()
  if sc.mpi.group().rank == 0 then check_outputs() end
  local datasets, histories, models, sheets = {}, {}, {}, {}
  for _, given in ipairs(args.data) do
    local name, path = given:match("^([^=]+)=(.+)$")
    if not name then parser:error("--data wants NAME=PATH, got " .. given) end
    datasets[name] = sc.data.open(path, { size = args.size or not path:find "%.npz$" and 64 or nil })
  end
  if not next(datasets) then datasets.phantom = sc.data.phantom { size = args.size, count = 800 } end
  for _, name in ipairs(#args.model > 0 and args.model or { "small_vgg", "small_resnet", "small_vit" }) do
    if not architectures[name] and not sc.models[name] then parser:error("unknown model " .. name) end
    -- What the function is known by: it also holds what has nothing to do with the model, such as --rates.
    models[name] = { version = ("%s, %d epochs"):format(name, args.epochs),
      make = function(data, data_name) return trained(name, data, data_name) end }
  end

  local results = sc.sweep { models = models, datasets = datasets, methods = words(args.methods),
    repair = words(args.repair), redundancy = args.redundancy and { false, true } or false,
    sampling = { "clustering", "confidence", "random" }, rates = numbers(args.rates), seeds = numbers(args.seeds),
    per_class = args.per_class, store = args.store }
  if results.is_copy then return end -- the first process goes on alone
  print(results)

  for data_name, data in pairs(datasets) do
    for model_name, source in pairs(models) do
      local model = source.make(data, data_name)
      histories[data_name .. ", " .. model_name] = model.info.history
      local made = sc.heatmaps(model, data.test, { dir = args.out .. "/heatmaps", name = data_name .. "-" .. model_name,
        pruned = pruned_half(model, data) })
      for _, sheet in ipairs(made) do
        sheet.title = model_name .. ", " .. sheet.title
        table.insert(sheet.lines, 1, model_name)
        sheets[#sheets + 1] = sheet
      end
    end
  end
  table.sort(sheets, function(a, b) return a.title < b.title end)
  local metric = args.metric ~= "accuracy" and words(args.metric) or nil -- of findings AUROC as well
  print("Open " .. sc.report(results, args.out, { title = "Interpretability-aware pruning", history = histories,
    heatmaps = sheets, metric = metric }))
end)
