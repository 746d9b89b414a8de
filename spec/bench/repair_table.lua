-- What pruning costs and what repair wins back: accuracy, balanced accuracy, agreement with the dense model and KL for
-- small trained models, by scoring, repair and rate.
--
--     make bench BENCH=spec/bench/trained_models.lua DATA=... MODELS=...
--     make bench BENCH=spec/bench/repair_table.lua DATA=/path/to/data MODELS=/path/to/models OUT=/path/to/rows
--
-- Options through the environment:
--   DATA, MODELS  as for trained_models.lua
--   OUT           folder of CSV files, a line per cell; a cell that is in any of them is not computed again
--   MODELS_MATCH  ".": a Lua pattern for the names of the models
--   SCORINGS      those below, some in a list with spaces
--   REPAIRS       "none bias batch_norm least_squares", at RATES ".15 .3 .5 .7"; transformers have no batch norms
--   FRONTIER      ".8 .9 .95": rates at which least_squares alone is measured
--   EPOCHS        3: of training after repair at FRONTIER, for the scorings in TRAINED ("sensitivity magnitude"); 0
--                 for none; at the rate LR (1e-3)
--   IMAGES        256: for calibration
--   PARTS, PART   1, 1: in how many processes the models x scorings are divided, and which of them this is; each
--                 writes a file of its own
--   SUMMARY       "yes": print the tables at the end, of all files in OUT; "no"; "only": nothing is computed
local bench = require "support.bench"
local core = require "secateur.core"
local files = require "secateur.util.files"
local layers = require "secateur.models.layers"
local memory_split = require "support.memory_split"
local repair_cells = require "support.repair_cells"
local sc = require "secateur"
local trained_models = require "support.trained_models"

local setting, words = bench.setting, bench.words

-- Scoring -> options of importance, and the scope of the ranking. Raw signed sums ranked globally are the paper's.
local scorings = {
  sensitivity = { { method = "sensitivity", redundancy = true }, "global" },
  sensitivity_alone = { { method = "sensitivity", redundancy = false }, "global" },
  lrp = { { method = "lrp", reduce = "sum" }, "global" },
  lrp_abs = { { method = "lrp", reduce = "abs" }, "global" },
  lrp_layer = { { method = "lrp", reduce = "abs" }, "layer" },
  lrp_redundancy = { { method = "lrp", redundancy = true }, "global" },
  dlb = { { method = "dlb", reduce = "sum" }, "global" },
  dlb_layer = { { method = "dlb", reduce = "abs" }, "layer" },
  ig = { { method = "ig", reduce = "sum" }, "global" },
  ig_layer = { { method = "ig", reduce = "abs" }, "layer" },
  ig_redundancy = { { method = "ig", redundancy = true }, "global" },
  magnitude = { { method = "magnitude" }, "layer" },
  random = { { method = "random" }, "layer" },
}

local function required(name, what) return os.getenv(name) or error(("%s: expected %s"):format(name, what), 0) end

local SCORINGS = words(setting("SCORINGS",
  "sensitivity lrp magnitude random lrp_layer ig_layer dlb_layer ig dlb sensitivity_alone"))
local REPAIRS, RATES = words(setting("REPAIRS", "none bias batch_norm least_squares")),
  words(setting("RATES", ".15 .3 .5 .7"))
local FRONTIER, EPOCHS, TRAINED = words(setting("FRONTIER", ".8 .9 .95")), setting("EPOCHS", 3), setting("TRAINED",
  "sensitivity magnitude")
local LR = setting("LR", 1e-3)
local IMAGES, MATCH = setting("IMAGES", 256), setting("MODELS_MATCH", ".")
local PARTS, PART, SUMMARY = setting("PARTS", 1), setting("PART", 1), setting("SUMMARY", "yes")

-- ---- measures ----

-- The split decoded once: it is run for every cell.
local function decoded(split)
  local indices = {}
  for i = 1, split:count() do indices[i] = i end
  local x, y = split:batch(indices)
  return memory_split(x, y:totable(), { classes = split.classes })
end

-- Share of equal decisions, and the mean of KL(dense || pruned).
local function compare(dense, pruned)
  local same, sum = 0, 0
  for i, row in ipairs(dense.probabilities) do
    if dense.predictions[i] == pruned.predictions[i] then same = same + 1 end
    for class, p in ipairs(row) do
      -- Far below what a float32 softmax of logits in use gives.
      if p > 0 then sum = sum + p * math.log(p / math.max(pruned.probabilities[i][class], 1e-30)) end
    end
  end
  return same / #dense.predictions, sum / #dense.predictions
end

local function macs_of(model) return select(2, layers.totals(model)) end

-- ---- cells ----

local job = {} -- what is done by this process: `cells`, `opened` data sets
local function open_data(set)
  job.opened[set] = job.opened[set] or trained_models.open(set, job.data)
  local data = job.opened[set]
  data.decoded = data.decoded or decoded(data.test)
  return data
end

-- A trained model with what its pruned ones are held against.
local function open_model(entry)
  local data, norms = open_data(entry.set), false
  local model = sc.load(trained_models.path(entry, job.models))
  for _, node in ipairs(model.graph:nodes()) do norms = norms or node.op == "batch_norm2d" end
  return { entry = entry, data = data, model = model, dense = sc.evaluate(model, data.decoded), macs = macs_of(model),
    norms = norms }
end

local function cell(entry, scoring, rate, repair, epochs)
  return { model = entry.name, set = entry.set, family = entry.family, seed = entry.seed, scoring = scoring,
    rate = rate, repair = repair, epochs = epochs or 0 }
end

-- Completes a row with what the model of the cell says of the test images.
local function measure(subject, row, model, seconds)
  local dense, pruned = subject.dense, sc.evaluate(model, subject.data.decoded)
  row.count, row.seconds, row.relative_macs = dense.count, seconds, macs_of(model) / subject.macs
  row.dense_accuracy, row.accuracy, row.drop = dense.accuracy, pruned.accuracy, dense.accuracy - pruned.accuracy
  row.dense_balanced, row.balanced = dense.balanced_accuracy, pruned.balanced_accuracy
  row.balanced_drop = row.dense_balanced - row.balanced
  row.agreement, row.kl = compare(dense, pruned)
  job.cells:add(row)
end

-- The compact equivalent of a pruned model. Where everything died, there is none, and the masked one is measured.
local function compacted(model)
  local good, compact = pcall(sc.compact, model)
  if good then return compact end
  io.stderr:write(tostring(compact), "\n")
  return model
end

local function train_more(subject, row, compact)
  local start = core.clock()
  sc.train(compact, subject.data, { epochs = row.epochs, optimiser = "adamw", weight_decay = 0.02, lr = LR,
    schedule = "cosine", augment = trained_models.augment, seed = 1, quiet = true })
  measure(subject, row, compact, core.clock() - start)
end

-- One rate and repair, and the training after it where that is wanted.
local function run_cell(subject, scores, row, scope)
  local trained = EPOCHS > 0 and row.frontier and (" " .. TRAINED .. " "):find(" " .. row.scoring .. " ", 1, true)
    and cell(subject.entry, row.scoring, row.rate, row.repair, EPOCHS)
  trained = trained and not job.cells:has(trained) and trained
  if job.cells:has(row) and not trained then return end
  local start = core.clock()
  local pruned = sc.prune(subject.model, scores(), { rate = row.rate, scope = scope, repair = row.repair,
    calibration = row.repair ~= "none" and subject.data.train or nil, calibration_count = IMAGES, seed = 1 })
  local seconds, compact = core.clock() - start, compacted(pruned)
  if not job.cells:has(row) then measure(subject, row, compact, seconds) end
  if trained then train_more(subject, trained, compact) end
end

-- All rates and repairs of a model and a scoring. Scores are computed when a cell first asks for them.
local function run_scoring(subject, scoring)
  local opts, scope = table.unpack(scorings[scoring])
  local found
  local function scores()
    if found then return found end
    local given = { seed = 1, calibration_count = IMAGES }
    for key, value in pairs(opts) do given[key] = value end
    found = sc.importance(subject.model, subject.data.train, given)
    return found
  end
  for _, rate in ipairs(RATES) do
    for _, repair in ipairs(REPAIRS) do
      if repair ~= "batch_norm" or subject.norms then
        run_cell(subject, scores, cell(subject.entry, scoring, rate, repair), scope)
      end
    end
  end
  for _, rate in ipairs(FRONTIER) do
    local row = cell(subject.entry, scoring, rate, "least_squares")
    row.frontier = true
    run_cell(subject, scores, row, scope)
  end
end

local function run()
  job.data, job.models = required("DATA", "the folder of the images"), required("MODELS", "the folder of the models")
  job.opened = {}
  job.cells:open(("cells-%d-of-%d"):format(PART, PARTS))
  local number = 0
  for _, scoring in ipairs(SCORINGS) do
    if not scorings[scoring] then error(("SCORINGS: expected one that is known, got '%s'"):format(scoring), 0) end
    for _, entry in ipairs(trained_models.list()) do
      if entry.name:find(MATCH) and files.is_file(trained_models.path(entry, job.models)) then
        number = number + 1
        if number % PARTS == PART % PARTS then
          local start = core.clock()
          run_scoring(open_model(entry), scoring)
          io.stderr:write(("%s, %s: %.1f s\n"):format(scoring, entry.name, core.clock() - start))
        end
      end
    end
  end
end

local function summarise()
  local titles = { { "drop", "Drop of accuracy" }, { "balanced_drop", "Drop of balanced accuracy" },
    { "agreement", "Agreement with the dense model" }, { "kl", "KL(dense || pruned)" },
    { "relative_macs", "MACs left" } }
  for _, title in ipairs(titles) do print(("\n%s\n\n%s"):format(title[2], job.cells:markdown(title[1]))) end
  for _, family in ipairs { "vgg", "resnet", "vit" } do
    print(("\nDrop of accuracy, %s\n\n%s"):format(family, job.cells:markdown("drop", function(row)
      return row.family == family and (row.repair == "none" or row.repair == "least_squares")
    end)))
  end
end

job.cells = repair_cells.read(required("OUT", "the folder of the rows"))
if SUMMARY ~= "only" then run() end
if SUMMARY ~= "no" then summarise() end
